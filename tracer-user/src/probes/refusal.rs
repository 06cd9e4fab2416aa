//! Why the kernel refused a program, in one line.

use aya::programs::ProgramError;

/// The longest reason that is passed on.
const MAX_CHARS: usize = 300;

/// One line for a person: what the kernel said, and of the verifier's log the line that says why.
#[must_use]
pub fn reason(error: &ProgramError) -> String {
    let text = match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            match telling_line(&verifier_log.to_string()) {
                Some(line) => format!("the verifier refuses it: {line}"),
                None => format!("the kernel refuses to load it: {io_error}"),
            }
        }
        ProgramError::SyscallError(error) => {
            format!("the kernel refuses to attach it: {} ({})", error.io_error, error.call)
        }
        other => other.to_string(),
    };
    text.chars().take(MAX_CHARS).collect()
}

/// Whether the kernel said "not permitted", for which the remedy is another one than for a program
/// that does not fit.
pub(super) fn not_permitted(error: &ProgramError) -> bool {
    let io_error = match error {
        ProgramError::LoadError { io_error, .. } => io_error,
        ProgramError::SyscallError(error) => &error.io_error,
        _ => return false,
    };
    io_error.raw_os_error() == Some(libc::EPERM)
}

/// The last line of the verifier's log that isn't about the verifier itself or a line of source.
fn telling_line(log: &str) -> Option<&str> {
    const NOT_TELLING: &[&str] = &[
        ";",
        "processed ",
        "verification time ",
        "stack depth ",
        "peak_states",
        "mark_read",
        "max_states",
        "insns_",
    ];
    log.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !NOT_TELLING.iter().any(|start| line.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_line_that_says_why() {
        let log = "0: R1=ctx() R10=fp0\n; let x = ctx.arg(0); @ csd.rs:68\n0: (79) r1 = *(u64 *)(r1 +0)\n\
                   func 'csd_function_exit' arg0 type FUNC_PROTO is not a struct\n\
                   invalid bpf_context access off=0 size=8\n; T::from_register(..) @ args.rs:52\n\
                   verification time 161 usec\nstack depth 0+0\nprocessed 1 insns (limit 1000000)\n\n";
        assert_eq!(telling_line(log), Some("invalid bpf_context access off=0 size=8"));
        assert_eq!(telling_line("processed 1 insns\n"), None);
        assert_eq!(telling_line(""), None);
    }
}
