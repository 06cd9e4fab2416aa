use tracer_explore::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let p = protocol::find(&a[1]).unwrap();
    let bug = a.get(2).filter(|b| *b != "-").map(|b| bug::find(b).unwrap());
    let mut setup = bug.map_or(setup::Setup::core(), |b| (b.setup)());
    for kv in &a[3.min(a.len())..] {
        let (k, v) = kv.split_once('=').unwrap();
        let n: u8 = v.parse().unwrap_or(0);
        match k { "cpus" => setup.cpus = n, "a" => setup.threads_a = n, "b" => setup.threads_b = n, "k" => setup.kthreads = n,
          "calls" => setup.calls = n, "flushes" => setup.flushes = n, "uses" => setup.uses = n, "exits" => setup.exits = n,
          "execs" => setup.execs = n, "tests" => setup.tests = n, "private" => setup.private = n != 0, "fine" => setup.fine = n != 0, "sym" => setup.symmetry = n != 0,
          "tables" => setup.tables = n != 0, "regs" => setup.registrations = n,
          "x" => setup = setup.without(step::Step::from_name(v).unwrap()), _ => panic!() }
    }
    let flags: Vec<_> = bug.iter().map(|b| b.flag).collect();
    let w = setup::World::new(p, setup, &flags);
    let limits = search::Limits { memory: 8 << 30, enough: bug.map_or(0, |b| b.expect.iter().fold(0, |x, r| x | r.bit())) };
    let mut last = std::time::Instant::now();
    let o = search::search(&w, &limits, &mut |s| { if last.elapsed().as_secs() > 10 { last = std::time::Instant::now(); eprintln!("{s:?}"); } true });
    println!("{:?} {:?} stuck {} checked {:?} {:.0}/s", o.end, o.status, o.stuck, o.checked, o.status.states as f64 / o.status.elapsed.as_secs_f64());
    for b in &o.broken { println!("{:?} {}: {}", b.rule, b.path.len(), b.path.iter().map(|a| format!("{}:{}({})", a.cpu, a.step.name(), a.arg)).collect::<Vec<_>>().join(" ")); }
}
