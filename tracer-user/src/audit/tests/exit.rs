//! A system call's way back to user mode.

use iced_x86::code_asm::{eax, rax};

use super::*;

/// What the exit does after it has looked for work.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Nothing,
    Sync,
    SyncIfSo,
    SyncAndSti,
    SyncAndIndirect,
    SyncAndHelper,
}

fn exit(then: Then) -> Option<bool> {
    let mut kernel = Kernel::new();
    let (mut work, mut call, mut leave, mut helper) = (
        kernel.a.create_label(),
        kernel.a.create_label(),
        kernel.a.create_label(),
        kernel.a.create_label(),
    );
    kernel.function(SYSCALL);
    kernel.a.sti().unwrap();
    kernel.a.call(call).unwrap();
    kernel.a.call(leave).unwrap();
    kernel.a.xor(eax, eax).unwrap();
    kernel.a.ret().unwrap();
    // A system call may do anything.
    kernel.begin("x64_sys_call", &mut call);
    kernel.a.cpuid().unwrap();
    kernel.a.call(rax).unwrap();
    kernel.a.ret().unwrap();
    kernel.begin("syscall_exit_to_user_mode", &mut leave);
    let (mut ready, mut out) = (kernel.a.create_label(), kernel.a.create_label());
    kernel.a.cli().unwrap();
    kernel.a.test(eax, eax).unwrap();
    kernel.a.je(ready).unwrap();
    kernel.a.call(work).unwrap();
    kernel.a.set_label(&mut ready).unwrap();
    kernel.a.nop().unwrap();
    if then == Then::SyncIfSo {
        kernel.a.je(out).unwrap();
    }
    if then != Then::Nothing {
        kernel.iret_to_self();
    }
    kernel.a.set_label(&mut out).unwrap();
    kernel.a.nop().unwrap();
    match then {
        Then::SyncAndSti => kernel.a.sti().unwrap(),
        Then::SyncAndIndirect => kernel.a.call(rax).unwrap(),
        Then::SyncAndHelper => kernel.a.call(helper).unwrap(),
        _ => {}
    }
    kernel.a.ret().unwrap();
    kernel.begin("exit_to_user_mode_loop", &mut work);
    kernel.a.sti().unwrap();
    kernel.a.cli().unwrap();
    kernel.a.ret().unwrap();
    kernel.begin("amd_clear_divider", &mut helper);
    kernel.a.xor(eax, eax).unwrap();
    kernel.a.ret().unwrap();
    kernel.audit().syscall_exit.serializes
}

#[test]
fn only_after_the_last_chance_to_switch() {
    assert_eq!(exit(Then::Nothing), Some(false));
    assert_eq!(exit(Then::Sync), Some(true));
    assert_eq!(exit(Then::SyncIfSo), Some(false));
    assert_eq!(exit(Then::SyncAndSti), Some(false));
    assert_eq!(exit(Then::SyncAndIndirect), Some(false));
    assert_eq!(exit(Then::SyncAndHelper), Some(true));
}
