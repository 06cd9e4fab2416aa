//! Each mutant through the spaces, until it is caught.

use std::sync::{
    Mutex, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use super::{Caught, Graph, Mutant, SURVIVORS, Space, Survivor, Why, explore};
use crate::setup::World;

/// States of a space beyond which a mutant's is not looked at.
const MOST: usize = 2_000_000;

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is told from a kernel that is right.
    Caught {
        /// By what.
        by: Caught,
        /// In which space.
        space: &'static str,
        /// How many states were met there.
        states: u64,
    },
    /// It was asked, and in every space its states and steps are the same.
    Same,
    /// It was asked; in these spaces it has other states or steps, and nothing is wrong with them.
    Clean(Vec<&'static str>),
    /// It was asked in no space: nothing is known of it.
    NotAsked,
    /// Its states did not fit.
    TooMany(&'static str),
}

/// A mutant, and what became of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The mutant.
    pub mutant: Mutant,
    /// What became of it.
    pub fate: Fate,
}

impl Found {
    /// Why it is not caught, as far as that is known.
    #[must_use]
    pub fn survivor(&self) -> Option<&'static Survivor> {
        let name = self.mutant.name();
        SURVIVORS.iter().find(|survivor| survivor.name == name)
    }

    /// Whether it is caught, or survives as it is known to.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let why = self.survivor().map(|survivor| survivor.why);
        match &self.fate {
            Fate::Caught { .. } => why.is_none(),
            Fate::Same => why == Some(Why::Same),
            Fate::Clean(_) => why == Some(Why::Clean),
            Fate::NotAsked | Fate::TooMany(_) => false,
        }
    }
}

/// The spaces, each with what there is in it if no guard is dropped, as soon as that is asked for.
#[derive(Debug)]
pub struct Hunt {
    spaces: Vec<(Space, World, OnceLock<Graph>)>,
}

impl Hunt {
    /// In these spaces.
    #[must_use]
    pub fn new(spaces: &[Space]) -> Self {
        let world = |space: &Space| Some((*space, space.world()?, OnceLock::new()));
        Self { spaces: spaces.iter().filter_map(world).collect() }
    }

    /// Every space with all guards.
    pub fn wholes(&self) -> impl Iterator<Item = (&Space, &Graph)> {
        self.spaces.iter().map(|(space, world, whole)| (space, Self::whole(world, whole)))
    }

    /// Those that a mutant was looked for in.
    pub fn looked_through(&self) -> impl Iterator<Item = (&Space, &Graph)> {
        self.spaces.iter().filter_map(|(space, _, whole)| Some((space, whole.get()?)))
    }

    fn whole<'a>(world: &World, whole: &'a OnceLock<Graph>) -> &'a Graph {
        whole.get_or_init(|| explore(world, MOST))
    }

    /// Looks for one mutant.
    #[must_use]
    pub fn hunt(&self, mutant: Mutant) -> Found {
        let (mut is_asked, mut other) = (false, Vec::new());
        let mut fate = None;
        for (space, world, whole) in &self.spaces {
            let whole = Self::whole(world, whole);
            let graph = explore(&world.mutated(mutant), MOST);
            is_asked |= graph.asked.0;
            if let Some(by) = graph.against(whole) {
                fate = Some(Fate::Caught { by, space: space.name, states: graph.states });
                break;
            }
            if graph.too_many {
                fate = Some(Fate::TooMany(space.name));
                break;
            }
            if !graph.is(whole) {
                other.push(space.name);
            }
        }
        let survives = match (is_asked, other.is_empty()) {
            (false, _) => Fate::NotAsked,
            (true, true) => Fate::Same,
            (true, false) => Fate::Clean(other),
        };
        Found { mutant, fate: fate.unwrap_or(survives) }
    }

    /// Looks for many, two at a time; `watch` is told each.
    #[must_use]
    pub fn hunt_all(&self, mutants: &[Mutant], watch: &(dyn Fn(&Found) + Sync)) -> Vec<Found> {
        let next = AtomicUsize::new(0);
        let all = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(&mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let found = self.hunt(mutant);
                        watch(&found);
                        if let Ok(mut all) = all.lock() {
                            all.push(found);
                        }
                    }
                });
            }
        });
        let mut all = all.into_inner().unwrap_or_default();
        all.sort_by_key(|found| found.mutant);
        all
    }
}
