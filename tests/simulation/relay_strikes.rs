//! What each fault does to the relays' world.

use vtid_ledger::oasis::relay::machine::{Answer, Input};

use super::relay::Request;
use super::relay_faults::Fault;
use super::relay_steps::Walk;
use super::relay_world::Promise;

impl Walk {
    pub(super) fn serve(&mut self, relay: usize, nth: usize) -> Option<Input> {
        let request = self.world.relays[relay].requests.remove(nth)?;
        let answer = self.world.serve(relay, &request);
        if let Some(Input::Acked { answer: Answer::Duplicate, .. }) = &answer {
            self.tally.count(Fault::RepeatTold);
        }
        answer
    }

    pub(super) fn fault(&mut self, fault: Fault, relay: usize, nth: usize) -> Promise {
        match fault {
            Fault::RequestLost => return self.lose_request(relay),
            Fault::AnswerLost => drop(self.serve(relay, 0)),
            Fault::AnswerLate => {
                let answer = self.serve(relay, 0);
                self.world.relays[relay].answers.extend(answer);
            }
            Fault::AnswerTwice => {
                let answer = self.serve(relay, 0);
                self.world.relays[relay].answers.extend(answer.clone());
                return answer.map_or(Ok(()), |answer| self.world.tell(relay, answer));
            }
            Fault::Overtaken => {
                let answer = self.serve(relay, nth + 1);
                return answer.map_or(Ok(()), |answer| self.world.tell(relay, answer));
            }
            Fault::OpenSlow => {
                let Some(Request::Open { generation }) = self.world.relays[relay].requests.pop_front() else {
                    return Ok(());
                };
                let last = self.world.end(relay);
                self.world.relays[relay].requests.push_front(Request::Head { generation, last });
            }
            Fault::TimedOut => return self.world.tell(relay, Input::Tick),
            Fault::LeaseLost => return self.world.tell(relay, Input::Led(false)),
            Fault::Crashed => self.world.crash(relay),
            Fault::Disconnected => return self.world.disconnect(relay),
            Fault::NatsAway => {
                self.world.nats_away = true;
                return self.disconnect_all();
            }
            Fault::TailLost | Fault::StoreLost => {
                self.world.lose_tail(nth);
                return if self.silent { Ok(()) } else { self.disconnect_all() };
            }
            Fault::Foreign => {
                self.world.stream.publish_foreign();
                self.world.changed(None);
            }
            Fault::LogTailLost => {
                self.world.log.lose_tail(nth);
                self.world.changed(None);
            }
            Fault::LateStored | Fault::LateRefused | Fault::RepeatTold => {}
        }
        Ok(())
    }

    /// What the shell makes of a request that was not answered in time.
    fn lose_request(&mut self, relay: usize) -> Promise {
        use vtid_ledger::oasis::relay::machine::OpenFault::Unreachable as fault;
        match self.world.relays[relay].requests.pop_front() {
            Some(Request::Open { generation } | Request::Head { generation, .. }) => {
                self.world.tell(relay, Input::OpenFailed { generation, fault })
            }
            Some(Request::AskLog { generation, .. }) => self.world.tell(relay, Input::Failed { generation }),
            _ => Ok(()),
        }
    }

    fn disconnect_all(&mut self) -> Promise {
        (0..self.world.relays.len()).try_for_each(|relay| self.world.disconnect(relay))
    }
}
