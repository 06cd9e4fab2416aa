use super::{synth::Synth, *};

fn parse(synth: &Synth) -> Btf {
    Btf::parse(synth.bytes()).unwrap()
}

/// A `task_struct` and an `mm_struct` as the kernel builds them: nested, typedef'd, anonymous.
fn kernel_like() -> Synth {
    let mut b = Synth::new();
    let (int, long, byte) = (b.int("int", 4), b.int("unsigned long", 8), b.int("char", 1));
    let info = b.structure("thread_info", &[("flags", long, 0), ("status", int, 16)]);
    let comm = b.array(byte, 16);
    let context = b.structure("", &[("ctx_id", long, 0)]);
    let context_t = b.typedef("mm_context_t", context);
    let atomic = b.structure("", &[("counter", int, 0)]);
    let atomic_t = b.typedef("atomic_t", atomic);
    let inner =
        b.structure("", &[("membarrier_state", atomic_t, 128), ("context", context_t, 1128)]);
    let mm = b.structure("mm_struct", &[("", inner, 0)]);
    let mm_ptr = b.ptr(mm);
    let task = b.structure(
        "task_struct",
        &[("thread_info", info, 0), ("mm", mm_ptr, 1136), ("comm", comm, 1752)],
    );
    let task_ptr = b.ptr(task);
    b.tracepoint("sched_switch", &[int, task_ptr, task_ptr, int]);
    b.function("flush_tlb_func", &[mm_ptr]);
    b.per_cpu(&[("cpu_tlbstate", int, 64)]);
    b
}

#[test]
fn finds_members_through_typedefs_and_anonymous_types() {
    let btf = parse(&kernel_like());
    let at = |path: &str| btf.member(path).map(|member| (member.offset, member.size));
    assert_eq!(at("task_struct.thread_info.status"), Ok((16, 4)));
    assert_eq!(at("task_struct.mm"), Ok((1136, 8)));
    assert_eq!(at("task_struct.comm"), Ok((1752, 16)));
    assert_eq!(at("mm_struct.context.ctx_id"), Ok((1128, 4096)).map(|(at, _)| (at, 8)));
    assert_eq!(at("mm_struct.membarrier_state.counter"), Ok((128, 4)));
}

#[test]
fn says_what_is_missing() {
    let btf = parse(&kernel_like());
    assert_eq!(btf.member("rq.curr"), Err(BtfError::NoType("rq".into())));
    assert_eq!(
        btf.member("task_struct.thread_info.nope"),
        Err(BtfError::NoMember { ty: "task_struct.thread_info".into(), member: "nope".into() })
    );
    assert_eq!(
        btf.member("task_struct.comm.nope"),
        Err(BtfError::NoMember { ty: "task_struct.comm".into(), member: "nope".into() })
    );
    assert!(matches!(btf.member_sized("task_struct.comm", 8), Err(BtfError::Shape { .. })));
}

#[test]
fn types_of_one_name_that_differ_are_ambiguous() {
    let mut b = kernel_like();
    let int = b.int("int", 4);
    b.structure("twice", &[("at", int, 0)]);
    b.structure("twice", &[("at", int, 0)]);
    b.structure("differs", &[("at", int, 0)]);
    b.structure("differs", &[("at", int, 8)]);
    b.structure("lacks", &[("at", int, 0)]);
    b.structure("lacks", &[]);
    let btf = parse(&b);
    assert_eq!(btf.member("twice.at"), Ok(Member { offset: 0, size: 4 }));
    assert_eq!(btf.member("differs.at"), Err(BtfError::Ambiguous("differs.at".into())));
    assert_eq!(btf.member("lacks.at"), Err(BtfError::Ambiguous("lacks.at".into())));
}

#[test]
fn reads_a_tracepoints_arguments() {
    let btf = parse(&kernel_like());
    let task = Arg::Struct("task_struct".into());
    assert_eq!(
        btf.tracepoint("sched_switch"),
        Ok(Some(Prototype(vec![Arg::Number, task.clone(), task, Arg::Number])))
    );
    assert_eq!(btf.tracepoint("sched_swatch"), Ok(None));
}

#[test]
fn reads_a_functions_arguments() {
    let mut b = kernel_like();
    let int = b.int("int", 4);
    let other = b.structure("other", &[]);
    let (other, word) = (b.ptr(other), b.typedef("word", int));
    b.function("flush", &[other, word]);
    b.function("flush", &[other, int]);
    b.function("twice", &[int]);
    b.function("twice", &[other]);
    b.function("nothing", &[]);
    b.raw("odd", 12, 0, int, &[]);
    let btf = parse(&b);
    let flush = Prototype(vec![Arg::Struct("other".into()), Arg::Number]);
    assert_eq!(btf.function("flush"), Ok(Some(flush)), "two that agree are as good as one");
    assert_eq!(btf.function("nothing"), Ok(Some(Prototype(Vec::new()))));
    assert_eq!(btf.function("absent"), Ok(None));
    assert_eq!(btf.function("twice"), Err(BtfError::Ambiguous("twice".into())));
    assert!(matches!(btf.function("odd"), Err(BtfError::Format(_))));
}

#[test]
fn finds_per_cpu_variables() {
    let mut b = kernel_like();
    let int = b.int("int", 4);
    b.raw("stray", 14, 0, int, &[1]);
    b.per_cpu(&[("first", int, 8), ("second", int, 64)]);
    let btf = parse(&b);
    assert_eq!(btf.per_cpu("second"), Ok(Some(64)));
    assert_eq!(btf.per_cpu("stray"), Ok(None), "a variable that is not per CPU");
}

#[test]
fn a_bit_field_is_refused() {
    let mut b = Synth::new();
    let int = b.int("int", 4);
    // kind_flag set: three bits at bit 0.
    let name = b.structure("holder", &[("bits", int, 0)]);
    let mut data = b.bytes();
    // The struct is the second type: its info word has the flag, its member the size.
    assert_eq!(name, 2);
    data[24 + 16 + 7] |= 0x80;
    data[24 + 16 + 12 + 11] = 3;
    let btf = Btf::parse(data).unwrap();
    assert_eq!(btf.member("holder.bits"), Err(BtfError::format("bits is a bit field")));
}

#[test]
fn circles_end_in_an_error() {
    let mut b = Synth::new();
    b.typedef("a", 2);
    b.typedef("b", 1);
    b.structure("holder", &[("at", 1, 0)]);
    b.typedef("btf_trace_round", 1);
    // An anonymous struct inside itself, and an array of itself.
    b.structure("", &[("", 5, 0)]);
    b.structure("deep", &[("", 5, 0)]);
    b.array(7, 2);
    b.structure("arrays", &[("at", 7, 0)]);
    let btf = parse(&b);
    for path in ["holder.at", "deep.at", "arrays.at"] {
        assert!(matches!(btf.member(path), Err(BtfError::TooDeep(_))), "{path}");
    }
    assert!(matches!(btf.tracepoint("round"), Err(BtfError::TooDeep(_))));
}

#[test]
fn wide_circles_end_too() {
    // Each anonymous member refers back twice: followed blindly, that is 2^32 ways.
    let mut b = Synth::new();
    b.structure("", &[("", 1, 0), ("", 1, 0)]);
    b.structure("wide", &[("", 1, 0), ("", 1, 0)]);
    assert!(matches!(parse(&b).member("wide.at"), Err(BtfError::TooDeep(_))));
}

#[test]
fn a_tree_of_two_to_the_thirty_members_ends_in_an_error() {
    let mut b = Synth::new();
    for below in 2..32 {
        b.structure("", &[("", below, 0), ("", below, 0)]);
    }
    b.structure("", &[]);
    b.structure("bushy", &[("", 1, 0)]);
    assert!(matches!(parse(&b).member("bushy.at"), Err(BtfError::TooDeep(_))));
}

#[test]
fn every_truncation_is_an_error_or_at_least_no_panic() {
    let whole = kernel_like().bytes();
    for len in 0..whole.len() {
        assert!(Btf::parse(whole[..len].to_vec()).is_err(), "{len} bytes");
    }
}

#[test]
fn no_single_byte_brings_it_down() {
    let whole = kernel_like().bytes();
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut data = whole.clone();
            data[at] = value;
            if let Ok(btf) = Btf::parse(data) {
                let _ = btf.member("task_struct.thread_info.status");
                let _ = btf.member("mm_struct.context.ctx_id");
                let _ = btf.member("task_struct.comm");
                let _ = btf.tracepoint("sched_switch");
                let _ = btf.function("flush_tlb_func");
                let _ = btf.per_cpu("cpu_tlbstate");
            }
        }
    }
}

#[test]
fn foreign_files_are_named_as_such() {
    assert!(Btf::parse(b"\x7fELF garbage garbage garbage".to_vec()).is_err());
    let mut other = kernel_like().bytes();
    other.swap(0, 1);
    let error = Btf::parse(other).err().unwrap().to_string();
    assert!(error.contains("byte order"), "{error}");
    let missing = Btf::from_file(Path::new("/nonexistent")).err().unwrap();
    assert!(missing.to_string().contains("/nonexistent"), "{missing}");
}

#[test]
fn a_renamed_tracepoint_is_gone() {
    let mut data = kernel_like().bytes();
    assert_eq!(rename(&mut data, "btf_trace_sched_switch", "btf_trace_sched_swotch"), Ok(1));
    let btf = Btf::parse(data.clone()).unwrap();
    assert_eq!(btf.tracepoint("sched_switch"), Ok(None));
    assert_eq!(rename(&mut data, "no such name", "no such  ame"), Ok(0));
    assert!(rename(&mut data, "short", "longer").is_err());
}
