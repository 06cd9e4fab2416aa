//! Formats of events: where which field is.

use crate::import::point::vector;

/// A field of an event, or of the ring buffer's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) offset: u32,
    pub(super) size: u32,
    signed: bool,
    /// It says where, in the record, its data is.
    elsewhere: bool,
}

/// An event that says something here, and where its fields are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) event: String,
    /// In the order of [`FIELDS`].
    fields: Vec<Field>,
}

/// The fields of each event.
const FIELDS: &[(&str, &str, &[&str])] = &[
    ("sched", "sched_switch", &["prev_pid", "prev_state", "next_comm", "next_pid"]),
    ("sched", "sched_process_fork", &["parent_pid", "child_comm", "child_pid"]),
    ("sched", "sched_process_exec", &["pid", "old_pid"]),
    ("sched", "sched_process_exit", &["pid"]),
    ("sched", "sched_process_free", &["pid"]),
    ("task", "task_rename", &["pid", "newcomm"]),
    ("tlb", "tlb_flush", &["reason", "pages"]),
    ("csd", "csd_queue_cpu", &["cpu", "func"]),
    ("csd", "csd_function_entry", &["func", "csd"]),
    ("csd", "csd_function_exit", &["func"]),
    ("ipi", "ipi_send_cpu", &["cpu", "callsite", "callback"]),
    ("ipi", "ipi_send_cpumask", &["cpumask", "callsite", "callback"]),
    ("syscalls", "sys_enter_membarrier", &["cmd", "flags", "cpu_id"]),
    ("syscalls", "sys_exit_membarrier", &["ret"]),
    ("raw_syscalls", "sys_enter", &["id", "args"]),
    ("raw_syscalls", "sys_exit", &["id", "ret"]),
    ("exceptions", "page_fault_user", &[]),
    ("exceptions", "page_fault_kernel", &[]),
    ("cpuhp", "cpuhp_enter", &["cpu", "target"]),
    ("nmi", "nmi_handler", &[]),
];

/// The fields of a format: names, and where they are.
pub(super) fn fields(format: &str) -> impl Iterator<Item = (&str, Field)> {
    format.lines().filter_map(|line| {
        // field:__data_loc char[] comm;	offset:8;	size:4;	signed:0;
        let (declared, places) = line.trim().strip_prefix("field:")?.split_once(';')?;
        let number = |key: &str| {
            let (_, rest) = places.split_once(key)?;
            rest.split(';').next()?.trim().parse::<u32>().ok()
        };
        let (kind, name) = declared.trim().rsplit_once([' ', '\t'])?;
        let field = Field {
            offset: number("offset:")?,
            size: number("size:")?,
            signed: number("signed:") == Some(1),
            elsewhere: kind.trim().starts_with("__data_loc"),
        };
        Some((name.split('[').next().unwrap_or(name), field))
    })
}

impl Shape {
    /// An event's number and shape; one that says nothing here has an empty name.
    pub(super) fn read(system: &str, format: &str) -> Option<(u16, Self)> {
        let line = |key: &str| format.lines().find_map(|line| line.strip_prefix(key));
        let name = line("name:")?.trim();
        let id = line("ID:")?.trim().parse().ok()?;
        let nothing = Self { event: String::new(), fields: Vec::new() };
        if ["irq_vectors", "irq"].contains(&system) && vector(name).is_some() {
            return Some((id, Self { event: name.to_owned(), ..nothing }));
        }
        let known = FIELDS.iter().find(|(of, event, _)| (*of, *event) == (system, name));
        let Some((_, _, names)) = known else { return Some((id, nothing)) };
        let all: Vec<_> = fields(format).collect();
        let field = |name: &&str| all.iter().find(|(field, _)| field == name).map(|&(_, f)| f);
        // Without one of its fields, it is another event of the same name.
        let fields: Option<Vec<Field>> = names.iter().map(field).collect();
        Some((id, Self { event: name.to_owned(), fields: fields? }))
    }

    fn bytes<'a>(&self, index: usize, record: &'a [u8]) -> Option<&'a [u8]> {
        let field = self.fields.get(index)?;
        let part = |offset: u32, size: u32| {
            let offset = offset as usize;
            record.get(offset..offset.checked_add(size as usize)?)
        };
        let bytes = part(field.offset, field.size)?;
        if !field.elsewhere {
            return Some(bytes);
        }
        let place = u32::from_le_bytes(bytes.try_into().ok()?);
        part(place & 0xffff, place >> 16)
    }

    /// A field's number, widened as its sign asks for.
    pub(super) fn number(&self, index: usize, record: &[u8]) -> Option<i64> {
        self.word(index, 0, record)
    }

    /// The `nth` word of a field of 64-bit words; or a shorter field, as the 0th.
    pub(super) fn word(&self, index: usize, nth: usize, record: &[u8]) -> Option<i64> {
        let bytes = self.bytes(index, record)?;
        let signed = self.fields.get(index)?.signed;
        let bytes = if bytes.len() > 8 { bytes.get(nth * 8..nth * 8 + 8)? } else { bytes };
        Some(match *bytes {
            [a] if signed => i64::from(a as i8),
            [a] => i64::from(a),
            [a, b] if signed => i64::from(i16::from_le_bytes([a, b])),
            [a, b] => i64::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] if signed => i64::from(i32::from_le_bytes([a, b, c, d])),
            [a, b, c, d] => i64::from(u32::from_le_bytes([a, b, c, d])),
            _ => i64::from_le_bytes(bytes.try_into().ok()?),
        })
    }

    /// A field's text, up to its NUL.
    pub(super) fn text<'a>(&self, index: usize, record: &'a [u8]) -> Option<&'a str> {
        let bytes = self.bytes(index, record)?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        // A name that is no text is as good as none.
        Some(std::str::from_utf8(text).unwrap_or_default())
    }

    /// The first 64 bits of a mask.
    pub(super) fn mask(&self, index: usize, record: &[u8]) -> Option<u64> {
        let bytes = self.bytes(index, record)?;
        let mut mask = [0; 8];
        mask.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Some(u64::from_le_bytes(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORK: &str = "name: sched_process_fork\nID: 314\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
        \tfield:__data_loc char[] parent_comm;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:pid_t parent_pid;\toffset:12;\tsize:4;\tsigned:1;\n\
        \tfield:__data_loc char[] child_comm;\toffset:16;\tsize:4;\tsigned:0;\n\
        \tfield:pid_t child_pid;\toffset:20;\tsize:4;\tsigned:1;\n\n\
        print fmt: \"x\", REC->child_pid\n";

    #[test]
    fn a_format_says_where_fields_are() {
        let (id, shape) = Shape::read("sched", FORK).expect("a format");
        assert_eq!((id, shape.event.as_str()), (314, "sched_process_fork"));
        let mut record = vec![0; 24];
        record[12..16].copy_from_slice(&(-1i32).to_le_bytes());
        record[16..20].copy_from_slice(&0x0004_0018_u32.to_le_bytes());
        record[20..24].copy_from_slice(&7i32.to_le_bytes());
        record.extend(b"abc\0");
        assert_eq!(shape.number(0, &record), Some(-1));
        assert_eq!(shape.text(1, &record), Some("abc"));
        assert_eq!(shape.number(2, &record), Some(7));
        assert_eq!(shape.text(1, &record[..26]), None, "it is elsewhere, and not there");
        assert_eq!(shape.number(2, &record[..22]), None);
    }

    #[test]
    fn other_events_are_left_out() {
        let other = FORK.replace("sched_process_fork", "x");
        assert_eq!(Shape::read("sched", &other).map(|(_, shape)| shape.event), Some(String::new()));
        let another = FORK.replace("child_pid;", "child;");
        assert_eq!(Shape::read("sched", &another), None);
    }
}
