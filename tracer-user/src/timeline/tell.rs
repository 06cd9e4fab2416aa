//! Explaining a call or a finding of a run, from the nearest checkpoint before it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    checkpoint::Checkpoint,
    desk::{Run, lock},
    player::{Played, Player},
};
use crate::{
    explain::{Ask, Explainer},
    report::Report,
    tui::machine::Explained,
};

/// An explanation that is being worked on.
pub(super) struct Telling {
    pub(super) ask: Ask,
    player: Option<Player<Explainer>>,
    /// The call that is followed; `None` while it is not known which.
    wanted: Option<u64>,
    told: Option<Explained>,
}

impl Telling {
    /// Begins.
    pub(super) fn new(run: &Run, ask: Ask) -> Self {
        let mut telling = Self { ask, player: None, wanted: None, told: None };
        let begun = match ask {
            Ask::Call(number) => telling.follow(run, number),
            Ask::Finding(number) => telling.find(run, number),
            Ask::List => Err("calls and findings are listed on their screens".to_owned()),
        };
        if let Err(why) = begun {
            telling.told = Some(Explained::No(why));
        }
        telling
    }

    /// What there is of it.
    pub(super) fn told(&self) -> Explained {
        self.told.clone().unwrap_or(Explained::Working)
    }

    pub(super) const fn is_done(&self) -> bool {
        self.told.is_some()
    }

    /// From the last checkpoint before a call.
    fn follow(&mut self, run: &Run, number: u64) -> Result<(), String> {
        let checkpoint = lock(&run.kept).checkpoints.by_call(number).cloned();
        let checkpoint = checkpoint.ok_or("it began before what is kept")?;
        self.wanted = Some(number);
        self.begin(run, &checkpoint)
    }

    /// From the last checkpoint before what a finding is about.
    fn find(&mut self, run: &Run, number: u64) -> Result<(), String> {
        let checkpoint = {
            let kept = lock(&run.kept);
            let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
            let told = kept.told.get(index).ok_or("it was not kept, or is not known yet")?;
            let finding = told.finding;
            let begin = if finding.since == 0 { finding.ts } else { finding.since };
            kept.checkpoints.by_time(begin.saturating_sub(1)).cloned()
        };
        let checkpoint = checkpoint.ok_or("it began before what is kept")?;
        self.begin(run, &checkpoint)
    }

    fn begin(&mut self, run: &Run, checkpoint: &Checkpoint) -> Result<(), String> {
        let told = lock(&run.kept).told.clone();
        let config = run.facts.config();
        let make = |follow| Explainer::resume(config, self.wanted, follow);
        let judge = checkpoint.judge_for(&run.facts, &told, make);
        let mut judge = judge.map_err(|error| error.to_string())?;
        let earlier = judge.engine().told().to_vec();
        judge.engine_mut().observer_mut().earlier(earlier.iter().map(Arc::as_ref));
        let roll = (run.open)(checkpoint.from);
        self.player = Some(Player::resume(judge, checkpoint, roll, run.parts.clone()));
        Ok(())
    }

    /// Goes on for so long.
    pub(super) fn work(&mut self, run: &Run, budget: Duration) {
        let Some(mut player) = self.player.take() else { return };
        let begun = Instant::now();
        let (ask, wanted) = (self.ask, self.wanted);
        let played = player.play_while(
            None,
            &mut |judge| {
                let explainer = judge.engine().observer();
                match (ask, wanted) {
                    (_, Some(_)) => explainer.is_over(),
                    (Ask::Finding(number), None) => explainer.found() >= number,
                    _ => true,
                }
            },
            false,
            &mut || begun.elapsed() >= budget,
        );
        match played {
            Ok(Played::Paused) => self.player = Some(player),
            Ok(Played::Reached | Played::End) => {
                if let (Ask::Finding(number), None) = (ask, wanted)
                    && let Some(call) = player.judge().engine().observer().call_of(number)
                {
                    match self.follow(run, call) {
                        Ok(()) => return,
                        // The finding can be told without its call.
                        Err(_) => self.wanted = None,
                    }
                }
                self.told = Some(finish(run, player, ask));
            }
            Err(error) => self.told = Some(Explained::No(error.to_string())),
        }
    }
}

fn finish(run: &Run, player: Player<Explainer>, ask: Ask) -> Explained {
    let (report, told) = {
        let kept = lock(&run.kept);
        (kept.report.clone(), kept.told.clone())
    };
    let (explainer, partial) = player.into_judge().report_with();
    let report = report.as_deref().cloned().unwrap_or(partial);
    let report = with_stories(report, &told);
    match explainer.tell(&report, ask) {
        Ok(explanation) => Explained::Ready(Box::new(explanation)),
        Err(error) => Explained::No(error.to_string()),
    }
}

/// The stories of findings are known whole only to who saw all of the run.
fn with_stories(mut report: Report, told: &[Arc<crate::engine::Told>]) -> Report {
    for (finding, told) in report.findings.iter_mut().zip(told) {
        let same = finding.rule == told.finding.rule.id() && finding.ts_ns == told.finding.ts;
        if same && finding.cpu == told.finding.cpu {
            finding.chain.clone_from(&told.chain);
        }
    }
    report
}
