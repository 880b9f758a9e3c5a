//! Every order of everything, at tiny bounds: a breadth-first walk over the states of a machine and its world.

use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A machine, or several, with all that they can meet.
pub(crate) trait World: Clone + Hash {
    /// Something that can happen next.
    type Step: Debug + Clone;

    /// Everything that can happen now; nothing once all is settled.
    fn steps(&self) -> Vec<Self::Step>;

    /// Lets it happen. An error is a violated promise, in words.
    fn take(&mut self, step: &Self::Step) -> Result<(), String>;

    /// What must hold where nothing can happen any more.
    fn settled(&self) -> Result<(), String>;
}

/// A walk that has seen every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    /// Those where nothing could happen any more.
    pub(crate) settled: usize,
    /// The longest of the shortest ways.
    pub(crate) depth: usize,
}

/// The shortest way to a violated promise.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) broken: String,
    /// Each step as it prints itself, from the start on.
    pub(crate) steps: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.broken)?;
        self.steps.iter().enumerate().try_for_each(|(n, step)| writeln!(f, "  {:>3}. {step}", n + 1))
    }
}

/// How a state was reached first.
struct Way<S> {
    from: usize,
    step: S,
    depth: usize,
}

/// Walks every state that can be reached from `start`. More than `max_states` of them is a mistake in the bounds.
pub(crate) fn explore<W: World>(start: W, max_states: usize) -> Result<Explored, Violation> {
    // States are told apart by 128 bits of hash: whole ones would not fit in memory.
    let mut seen = HashSet::from([fingerprint(&start)]);
    let mut ways: Vec<Option<Way<W::Step>>> = vec![None];
    let mut queue = VecDeque::from([(start, 0)]);
    let mut explored = Explored { states: 0, settled: 0, depth: 0 };
    while let Some((state, index)) = queue.pop_front() {
        explored.states += 1;
        let depth = ways[index].as_ref().map_or(0, |way| way.depth);
        explored.depth = explored.depth.max(depth);
        assert!(explored.states <= max_states, "more than {max_states} states, at depth {depth}");
        let steps = state.steps();
        if steps.is_empty() {
            explored.settled += 1;
            state.settled().map_err(|broken| violation(broken, &ways, index, None))?;
        }
        for step in steps {
            let mut next = state.clone();
            next.take(&step).map_err(|broken| violation(broken, &ways, index, Some(&step)))?;
            if seen.insert(fingerprint(&next)) {
                ways.push(Some(Way { from: index, step, depth: depth + 1 }));
                queue.push_back((next, ways.len() - 1));
            }
        }
    }
    Ok(explored)
}

fn fingerprint(state: &impl Hash) -> u128 {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        state.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    hash(0) << 64 | hash(1)
}

fn violation<S: Debug>(
    broken: String,
    ways: &[Option<Way<S>>],
    mut at: usize,
    last: Option<&S>,
) -> Violation {
    let mut steps: Vec<String> = last.map(|step| format!("{step:?}")).into_iter().collect();
    while let Some(way) = &ways[at] {
        steps.push(format!("{:?}", way.step));
        at = way.from;
    }
    steps.reverse();
    Violation { broken, steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters, each read and then written: the classic lost update.
    #[derive(Clone, Hash)]
    struct LostUpdate {
        value: u8,
        read: [Option<u8>; 2],
        done: [bool; 2],
        atomic: bool,
    }

    impl World for LostUpdate {
        type Step = usize;

        fn steps(&self) -> Vec<usize> {
            (0..2).filter(|who| !self.done[*who]).collect()
        }

        fn take(&mut self, who: &usize) -> Result<(), String> {
            match self.read[*who] {
                None if !self.atomic => self.read[*who] = Some(self.value),
                read => {
                    self.value = read.unwrap_or(self.value) + 1;
                    self.done[*who] = true;
                }
            }
            Ok(())
        }

        fn settled(&self) -> Result<(), String> {
            (self.value == 2).then_some(()).ok_or(format!("{} of 2 updates are there", self.value))
        }
    }

    fn lost_update(atomic: bool) -> Result<Explored, Violation> {
        explore(LostUpdate { value: 0, read: [None; 2], done: [false; 2], atomic }, 100)
    }

    #[test]
    fn a_lost_update_is_found_with_its_shortest_way() {
        let found = lost_update(false).unwrap_err();
        assert_eq!(found.broken, "1 of 2 updates are there");
        assert_eq!(found.steps.len(), 4, "{found}");
        assert_eq!(lost_update(true).unwrap(), Explored { states: 4, settled: 1, depth: 2 });
    }
}
