use super::*;
use crate::probes::btf::synth::Synth;

/// Every field and tracepoint of the table, except what `leave` says to leave out, by name.
/// `sched_switch` has as many arguments as asked.
fn kernel(switch_args: usize, leave: &[&str]) -> Btf {
    Btf::parse(synth(switch_args, leave).bytes()).unwrap()
}

/// A plan by BTF alone.
fn plan(btf: &Btf) -> Plan {
    Plan::with_symbols(btf, || Err("no symbols".to_owned()))
}

fn synth(switch_args: usize, leave: &[&str]) -> Synth {
    let mut b = Synth::new();
    let (int, long, byte) = (b.int("int", 4), b.int("long", 8), b.int("char", 1));
    let short = b.int("short", 2);
    let comm = b.array(byte, 16);
    let info = b.structure("thread_info", &[("status", int, 16)]);
    let context = b.structure("", &[("ctx_id", long, 0), ("tlb_gen", long, 8)]);
    let context = b.typedef("mm_context_t", context);
    let mut mm = vec![("context", context, 64), ("membarrier_state", int, 8)];
    mm.retain(|member| !leave.contains(&member.0));
    let mm = b.structure("mm_struct", &mm);
    let mm_ptr = b.ptr(mm);
    let rq = b.structure("rq", &[("cpu", int, 0), ("membarrier_state", int, 4)]);
    let rq = b.ptr(rq);
    let cfs_rq = b.structure("cfs_rq", &[("rq", rq, 0)]);
    let cfs_rq = b.ptr(cfs_rq);
    let se = b.structure("sched_entity", &[("cfs_rq", cfs_rq, 0)]);
    let ctxs = b.array(long, 12);
    let tlb_state = [("loaded_mm", mm_ptr, 0), ("loaded_mm_asid", short, 16), ("ctxs", ctxs, 32)];
    b.structure("tlb_state", &tlb_state);
    b.structure("tlb_state_shared", &[("is_lazy", byte, 0)]);
    let mut variables =
        vec![("cpu_tlbstate", int, 0), ("cpu_tlbstate_shared", int, 64), ("runqueues", int, 128)];
    variables.retain(|variable| !leave.contains(&variable.0));
    b.per_cpu(&variables);
    let mut task = vec![
        ("thread_info", info, 0),
        ("se", se, 16),
        ("flags", int, 40),
        ("mm", mm_ptr, 48),
        ("active_mm", mm_ptr, 56),
        ("pid", int, 64),
        ("tgid", int, 68),
        ("comm", comm, 72),
    ];
    task.retain(|member| !leave.contains(&member.0));
    let task = b.structure("task_struct", &task);
    let (task, regs, mask) =
        (b.ptr(task), b.structure("pt_regs", &[]), b.structure("cpumask", &[]));
    let (regs, mask) = (b.ptr(regs), b.ptr(mask));
    let info = [("mm", mm_ptr, 0), ("new_tlb_gen", long, 8), ("freed_tables", byte, 16)];
    let info = b.structure("flush_tlb_info", &info);
    let info = b.ptr(info);
    let function = b.raw("", 13, 0, 0, &[]);
    let function = b.ptr(function);
    for probe in PROBES.iter().filter(|probe| !leave.contains(&probe.name)) {
        let len = probe.args.last().map_or(0, |arg| arg.index + 1);
        let mut args = vec![int; len];
        for arg in probe.args {
            args[arg.index] = match arg.shape {
                Shape::Number => int,
                Shape::Struct("task_struct") => task,
                Shape::Struct("mm_struct") => mm_ptr,
                Shape::Struct("pt_regs") => regs,
                Shape::Struct("flush_tlb_info") => info,
                Shape::Struct(_) => mask,
                Shape::Word if probe.kind != ProbeKind::TpBtf => function,
                Shape::Word => long,
            };
        }
        if probe.name == "sched_switch" {
            args.truncate(switch_args);
        }
        match probe.kind {
            ProbeKind::TpBtf | ProbeKind::RawTp => b.tracepoint(probe.name, &args),
            // One function may have a row for its entry and one for its exit.
            ProbeKind::Fentry | ProbeKind::Fexit if probe.function.is_empty() => {
                b.function(probe.name, &args)
            }
            _ => continue,
        };
    }
    b
}

fn skipped(plan: &Plan) -> Vec<(&'static str, String)> {
    plan.probes
        .iter()
        .filter_map(|planned| Some((planned.probe.name, planned.skip.as_ref()?.to_string())))
        .collect()
}

#[test]
fn on_a_full_kernel_everything_is_planned() {
    let plan = plan(&kernel(4, &[]));
    let replaced: Vec<_> =
        PROBES.iter().filter(|probe| !probe.replaces.is_empty()).map(|probe| probe.name).collect();
    let skipped = skipped(&plan);
    assert_eq!(skipped.iter().map(|skip| skip.0).collect::<Vec<_>>(), replaced);
    assert!(skipped.iter().all(|skip| skip.1.ends_with(" tells the same")), "{skipped:?}");
    assert_eq!(plan.offsets.len(), Field::ALL.len());
    assert_eq!(plan.offsets[&Field::MmCtxId], 64);
    assert_eq!(plan.possible(), Ok(()));
    assert_eq!(plan.losses().count(), 0);
}

#[test]
fn an_old_sched_switch_is_refused_with_the_release_that_changed_it() {
    let plan = plan(&kernel(3, &[]));
    let error = plan.possible().unwrap_err();
    assert_eq!(error.name, "sched_switch");
    assert_eq!(
        error.why,
        "sched_switch has 3 arguments on this kernel; argument 4 (prev_state) is needed, which came \
         with 5.18"
    );
}

#[test]
fn a_missing_tracepoint_is_named_with_its_loss() {
    let plan = plan(&kernel(4, &["tlb_flush", "csd_queue_cpu"]));
    assert_eq!(plan.possible(), Ok(()));
    assert_eq!(
        skipped(&plan),
        [
            ("tlb_flush", "this kernel has no tracepoint tlb:tlb_flush".to_owned()),
            (
                "csd_queue_cpu",
                "this kernel has no tracepoint csd:csd_queue_cpu (there from 6.5 on)".to_owned()
            ),
        ]
    );
    let losses: Vec<_> = plan.losses().map(|loss| loss.name).collect();
    assert_eq!(losses, ["tlb_flush"], "csd_queue_cpu is optional");
}

#[test]
fn a_missing_field_takes_every_program_that_loads_it() {
    let plan = plan(&kernel(4, &["comm"]));
    let names: Vec<_> = skipped(&plan).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["sched_process_fork", "sched_process_exec"]);
    assert!(!plan.offsets.contains_key(&Field::TaskComm));

    let plan = plan(&kernel(4, &["membarrier_state"]));
    let error = plan.possible().unwrap_err();
    assert_eq!(error.why, "struct mm_struct has no member membarrier_state on this kernel");
}

#[test]
fn a_changed_argument_is_refused_by_its_type() {
    let mut b = Synth::new();
    let other = b.structure("other", &[]);
    let other = b.ptr(other);
    b.tracepoint("exit_mmap", &[other]);
    let plan = plan(&Btf::parse(b.bytes()).unwrap());
    let why = skipped(&plan).into_iter().find(|(name, _)| *name == "exit_mmap").unwrap().1;
    assert_eq!(
        why,
        "argument 1 (mm) of exit_mmap is struct other * on this kernel; struct mm_struct * is expected"
    );
}

#[test]
fn a_plan_for_another_kernel_does_not_fit() {
    let running = plan(&kernel(4, &[]));
    let mut other = running.clone();
    assert_eq!(other.fits(&running), Ok(()));
    other.offsets.remove(&Field::TaskComm);
    assert_eq!(other.fits(&running), Ok(()), "what is missing there is not read");
    other.offsets.insert(Field::TaskPid, 1000);
    assert_eq!(
        other.fits(&running),
        Err(Foreign { path: "task_struct.pid", here: 64, there: 1000 })
    );
}
