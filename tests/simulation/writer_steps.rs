//! Everything that can happen next between two writers, their log and its operator.

use super::database::Who;
use super::explore::World;
use super::faults::Fault;
use super::promises::Promise;
use super::writer_shell::{Fate, WriterShell};
use super::writer_world::{WriterWorld, new_writer};

/// Something that can happen next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A caller asks: the one of the plans.
    Ask(usize),
    /// The database does what is under way.
    Serve(Who),
    /// The outcome arrives.
    Deliver(Who),
    /// Something goes wrong with what is under way.
    Fails(Who, Fault, Fate),
    /// An append of a dead connection arrives.
    Arrive(usize),
    /// An outcome arrives once more.
    Twice(Who),
    /// The deadline of all who wait passes.
    Expire(Who),
    /// The process ends, and another begins; whether its append is still on its way.
    Crash(Who, bool),
    /// The stream takes the next event.
    Publish,
    /// So many commits are left in the database that is now behind the address.
    FailOver(usize),
    Recover,
    AcceptLoss,
}

impl WriterWorld {
    fn steps_of(&self, who: Who, steps: &mut Vec<Step>) {
        let shell = &self.shells[who];
        if let Some(operation) = shell.under_way.as_ref().filter(|_| self.can_serve(who)) {
            steps.push(Step::Serve(who));
            let fates = Fault::of(operation).iter().filter(|(fault, _)| self.may(*fault));
            steps.extend(fates.map(|(fault, fate)| Step::Fails(who, *fault, *fate)));
        }
        if shell.coming.is_some() {
            steps.push(Step::Deliver(who));
        }
        if self.may(Fault::OutcomeTwice) && self.delivered[who].is_some() {
            steps.push(Step::Twice(who));
        }
        if self.may(Fault::DeadlinePassed) && self.promises.waiting() > 0 {
            steps.push(Step::Expire(who));
        }
        if self.may(Fault::Crashed) {
            steps.push(Step::Crash(who, false));
            let appends = matches!(shell.under_way, Some(vtid_ledger::writer::machine::Output::Append(..)));
            steps.extend(appends.then_some(Step::Crash(who, true)));
        }
    }

    /// The lock is free for it, also for the comparison that comes first.
    fn can_serve(&self, who: Who) -> bool {
        let shell = &self.shells[who];
        let in_turn = shell.compares() && self.database.lock.is_some();
        !shell.is_locked_out(who, &self.database) && !in_turn
    }

    fn serve(&mut self, who: Who, fate: Fate) -> Promise {
        if fate == Fate::Right && self.shells[who].compares() {
            self.compare();
        }
        let before = self.database.log.len();
        self.shells[who].serve(who, &mut self.database, fate)?;
        self.committed(before)
    }

    fn fails(&mut self, fault: Fault) {
        self.left -= 1;
        self.tally.count(fault);
    }
}

impl World for WriterWorld {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = (0..self.plans.len()).map(Step::Ask).collect();
        (0..self.shells.len()).for_each(|who| self.steps_of(who, &mut steps));
        if self.database.lock.is_none() {
            steps.extend((0..self.database.late()).map(Step::Arrive));
        }
        if self.may_publish() {
            steps.push(Step::Publish);
        }
        if self.may(Fault::FailedOver) {
            steps.extend((0..=self.database.commits()).map(Step::FailOver));
        }
        if self.decisions > 0 && self.database.log.hold.is_some() && self.database.lock.is_none() {
            steps.extend(self.may_recover().then_some(Step::Recover));
            steps.push(Step::AcceptLoss);
        }
        steps
    }

    fn take(&mut self, step: &Step) -> Promise {
        match *step {
            Step::Ask(index) => self.ask(index),
            Step::Serve(who) => self.serve(who, Fate::Right),
            Step::Deliver(who) => self.deliver(who),
            Step::Fails(who, fault, fate) => {
                self.fails(fault);
                self.serve(who, fate)
            }
            Step::Arrive(index) => {
                let before = self.database.log.len();
                let went_in = self.database.arrive(index);
                self.tally.count(if went_in { Fault::LateAppendWentIn } else { Fault::LateAppendRefused });
                self.committed(before)
            }
            Step::Twice(who) => {
                self.fails(Fault::OutcomeTwice);
                let coming = self.delivered[who].take().ok_or("nothing was delivered")?;
                self.tell(who, coming.input, coming.epoch)
            }
            Step::Expire(who) => {
                self.fails(Fault::DeadlinePassed);
                self.expire(who)
            }
            Step::Crash(who, late) => {
                self.fails(Fault::Crashed);
                self.shells[who].crash(who, &mut self.database, late, new_writer());
                self.promises.crashed(who);
                self.delivered[who] = None;
                self.tell(who, vtid_ledger::writer::machine::Input::Start, self.database.epoch)
            }
            Step::Publish => {
                self.publish();
                Ok(())
            }
            Step::FailOver(kept) => {
                self.fails(Fault::FailedOver);
                self.fail_over(kept);
                Ok(())
            }
            Step::Recover => {
                self.decisions -= 1;
                self.tally.count(Fault::Recovered);
                self.recover()
            }
            Step::AcceptLoss => {
                self.decisions -= 1;
                self.tally.count(Fault::LossAccepted);
                self.accept_loss();
                Ok(())
            }
        }
    }

    fn settled(&self) -> Promise {
        let waiting = self.promises.waiting();
        if waiting > 0 {
            return Err(format!("{waiting} callers wait for ever"));
        }
        let stuck = |shell: &WriterShell| shell.under_way.is_some() || shell.coming.is_some();
        if self.shells.iter().any(stuck) {
            return Err("an operation waits for ever".to_owned());
        }
        Ok(())
    }
}
