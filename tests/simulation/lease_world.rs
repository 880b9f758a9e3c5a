//! The machines of one lease in several processes, and the row that they share: every order of what can happen.

use std::collections::VecDeque;

use vtid_ledger::leases::machine::{Input, Limits, Machine, Millis, Output};

use super::explore::World;
use super::lease_faults::{Fault, Flaw};
use super::lease_model::{Row, serve};
use super::tally::Tally;

/// A lease of six, renewed every two: real bounds in few steps.
pub(super) const LIMITS: Limits = Limits {
    lasts_ms: 6,
    drift_ms: 1,
    renew_ms: 2,
    answer_ms: 2,
    retry_ms: 1,
    margin_ms: 1,
    busy_ms: 1,
    unable_ms: 2,
    trial_ms: 3,
    rest_ms: 9,
};
/// So long after the last fault somebody holds the lease who can do the work: it runs out, one question is lost with the
/// last of the faults, the next is not.
const BOUND: Millis = LIMITS.lasts_ms
    + LIMITS.margin_ms
    + LIMITS.unable_ms
    + LIMITS.answer_ms
    + LIMITS.retry_ms
    + LIMITS.trial_ms;
/// Nothing goes wrong after this…
const CALM_FROM: Millis = 7;
/// … and time goes no further than this.
const HORIZON: Millis = CALM_FROM + BOUND + 2;
/// How far `PostgreSQL`'s clock is set.
const CLOCK_STEP: i64 = 8;

#[derive(Clone, Debug, Hash)]
struct Process {
    /// Another one, once it has crashed.
    id: u32,
    machine: Machine,
    questions: VecDeque<Output>,
    answers: VecDeque<Input>,
    frozen: bool,
    able: bool,
    /// When it last heard that the lease is its own; for wrong leases.
    kept_at: Option<Millis>,
    /// How much its clock has fallen behind.
    slow: Millis,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Serve { process: usize },
    Answer { process: usize },
    LateQuestion { nth: usize },
    LateAnswer { nth: usize },
    Wake { process: usize },
    AbleAgain { process: usize },
    Pass,
    Fault { fault: Fault, process: usize },
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Walk {
    time: Millis,
    /// `PostgreSQL`'s clock, against true time.
    set_by: i64,
    set_forward_at: Option<Millis>,
    row: Option<Row>,
    processes: Vec<Process>,
    next_id: u32,
    late_questions: Vec<(u32, Output)>,
    late_answers: Vec<(u32, Input)>,
    /// Since when nothing has gone wrong.
    calm_since: Millis,
    faults: Vec<Fault>,
    flaw: Option<Flaw>,
    tally: Tally<Fault>,
}

impl Walk {
    pub(super) fn new(processes: u32, limits: Limits, faults: &[Fault], tally: &Tally<Fault>) -> Self {
        let mut walk = Self {
            time: 0,
            set_by: 0,
            set_forward_at: None,
            row: None,
            processes: Vec::new(),
            next_id: processes,
            late_questions: Vec::new(),
            late_answers: Vec::new(),
            calm_since: 0,
            faults: faults.to_vec(),
            flaw: None,
            tally: tally.clone(),
        };
        walk.processes = (0..processes).map(|id| Process::new(id, limits)).collect();
        (0..walk.processes.len()).for_each(|process| walk.tell(process, Input::Tick));
        walk
    }

    pub(super) fn flawed(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    fn tell(&mut self, process: usize, input: Input) {
        let now = self.time - self.processes[process].slow;
        let process = &mut self.processes[process];
        for output in process.machine.handle(now, input) {
            // A question is given up once the next is asked: its connection is closed.
            process.questions.push_back(output);
        }
    }

    fn holds(&self, process: &Process) -> bool {
        let kept_at = process.kept_at;
        match self.flaw {
            Some(Flaw::NeverRunsOut) => kept_at.is_some(),
            Some(Flaw::CountsFromAnswer) => kept_at.is_some_and(|at| self.time < at + LIMITS.lasts_ms),
            _ => process.machine.held_until(self.time - process.slow).is_some(),
        }
    }

    fn clock(&self) -> i64 {
        i64::try_from(self.time).unwrap() + self.set_by
    }

    fn serve(&mut self, asker: u32, question: Output) -> Input {
        if self.flaw == Some(Flaw::NoCompare) {
            self.row = None;
        }
        let moment = self.clock();
        let served = serve(&mut self.row, asker, question, moment, LIMITS.lasts_ms);
        for one in 0..self.processes.len() {
            if served.freed && !self.processes[one].frozen {
                self.tell(one, Input::Freed);
            }
        }
        served.answer
    }

    fn deliver(&mut self, process: usize, answer: Input) {
        let kept = matches!(answer, Input::Kept { .. });
        self.processes[process].kept_at = (kept && self.flaw.is_some()).then_some(self.time);
        self.tell(process, answer);
    }

    fn faulty_steps(&self, steps: &mut Vec<Step>) {
        for (index, process) in self.processes.iter().enumerate() {
            if process.frozen {
                steps.push(Step::Wake { process: index });
            }
            if !process.able {
                steps.push(Step::AbleAgain { process: index });
            }
            let mut faults = self.faults.clone();
            faults.dedup();
            let faults = faults.into_iter().filter(|fault| self.may(*fault, process));
            steps.extend(faults.map(|fault| Step::Fault { fault, process: index }));
        }
    }

    fn strike(&mut self, fault: Fault, index: usize) {
        self.tally.count(fault);
        let at = self.faults.iter().position(|left| *left == fault).unwrap();
        self.faults.remove(at);
        let process = &mut self.processes[index];
        match fault {
            Fault::QuestionLost => drop(process.questions.pop_front()),
            Fault::QuestionLate => {
                self.late_questions.extend(process.questions.pop_front().map(|one| (process.id, one)));
            }
            Fault::AnswerLost => drop(process.answers.pop_front()),
            Fault::AnswerLate => {
                self.late_answers.extend(process.answers.pop_front().map(|one| (process.id, one)));
            }
            Fault::Frozen => process.frozen = true,
            Fault::Crashed => {
                self.late_questions.extend(process.questions.drain(..).map(|one| (process.id, one)));
                *process = Process::new(self.next_id, LIMITS);
                self.next_id += 1;
                self.tell(index, Input::Tick);
            }
            Fault::Stopped => self.tell(index, Input::Stop),
            Fault::Unable => {
                process.able = false;
                self.tell(index, Input::Able(false));
            }
            Fault::ClockSlow => process.slow += 1,
            Fault::ClockBack => self.set_by -= CLOCK_STEP,
            Fault::ClockForward => {
                self.set_by += CLOCK_STEP;
                self.set_forward_at = Some(self.time);
            }
        }
    }

    fn may(&self, fault: Fault, process: &Process) -> bool {
        match fault {
            Fault::QuestionLost | Fault::QuestionLate => !process.questions.is_empty(),
            Fault::AnswerLost | Fault::AnswerLate => !process.answers.is_empty(),
            Fault::Frozen | Fault::Unable | Fault::Stopped => {
                !process.frozen && process.able && !process.machine.has_ended()
            }
            Fault::Crashed => !process.machine.has_ended(),
            // By no more than is reckoned with.
            Fault::ClockSlow => self.time > 0 && process.slow < LIMITS.drift_ms,
            // Once is as good as from each of them.
            Fault::ClockBack | Fault::ClockForward => process.id == self.processes[0].id,
        }
    }

    fn pass(&mut self) {
        self.time += 1;
        if !self.late_questions.is_empty() || !self.late_answers.is_empty() {
            self.calm_since = self.time;
        }
        for index in 0..self.processes.len() {
            let process = &self.processes[index];
            let due = process.machine.next_tick().is_some_and(|due| due <= self.time - process.slow);
            if due && !process.frozen {
                self.tell(index, Input::Tick);
            }
        }
    }

    /// One that can do the work holds the lease, nothing is under way, and whatever anybody reckoned with when things
    /// still went wrong has run out: so it stays.
    fn is_calm(&self) -> bool {
        let holds = |process: &Process| process.able && !process.frozen && self.holds(process);
        let quiet = |process: &Process| process.questions.is_empty() && process.answers.is_empty();
        self.time >= HORIZON
            || self.time > CALM_FROM + LIMITS.lasts_ms
                && self.processes.iter().any(holds)
                && self.processes.iter().all(|process| process.frozen || quiet(process))
    }

    fn check(&self) -> Result<(), String> {
        let holders: Vec<&Process> = self.processes.iter().filter(|process| self.holds(process)).collect();
        let clock_was_set = self.set_forward_at.is_some_and(|at| self.time < at + LIMITS.lasts_ms);
        if holders.len() > 1 && !clock_was_set {
            return Err(format!("{} processes hold the lease at {}", holders.len(), self.time));
        }
        let can = |process: &Process| !process.frozen && process.able && !process.machine.has_ended();
        let somebody = self.processes.iter().any(can);
        if somebody && self.time > self.calm_since + BOUND && !holders.into_iter().any(can) {
            return Err(format!("nobody holds the lease at {}, calm since {}", self.time, self.calm_since));
        }
        Ok(())
    }
}

impl Process {
    fn new(id: u32, limits: Limits) -> Self {
        let (questions, answers) = Default::default();
        Self {
            id,
            machine: Machine::new(limits),
            questions,
            answers,
            frozen: false,
            able: true,
            kept_at: None,
            slow: 0,
        }
    }
}

impl World for Walk {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, process) in self.processes.iter().enumerate() {
            // Answers to different processes may come in any order, and it makes no difference which.
            if !process.answers.is_empty() && !process.frozen && steps.is_empty() {
                steps.push(Step::Answer { process: index });
            }
        }
        if steps.is_empty() {
            let asking = (0..self.processes.len()).filter(|one| !self.processes[*one].questions.is_empty());
            steps.extend(asking.map(|process| Step::Serve { process }));
        }
        // What is not late comes within no time.
        let late = !self.late_questions.is_empty() || !self.late_answers.is_empty();
        if steps.is_empty() && !(late && self.time >= CALM_FROM) && !self.is_calm() {
            steps.push(Step::Pass);
        }
        steps.extend((0..self.late_questions.len()).map(|nth| Step::LateQuestion { nth }));
        steps.extend((0..self.late_answers.len()).map(|nth| Step::LateAnswer { nth }));
        if self.time <= CALM_FROM {
            self.faulty_steps(&mut steps);
        }
        steps
    }

    fn take(&mut self, step: &Step) -> Result<(), String> {
        if !matches!(step, Step::Serve { .. } | Step::Answer { .. } | Step::Pass) {
            self.calm_since = self.time;
        }
        match *step {
            Step::Serve { process } => {
                let id = self.processes[process].id;
                if let Some(question) = self.processes[process].questions.pop_front() {
                    let answer = self.serve(id, question);
                    self.processes[process].answers.push_back(answer);
                }
            }
            Step::Answer { process } => {
                if let Some(answer) = self.processes[process].answers.pop_front() {
                    self.deliver(process, answer);
                }
            }
            Step::LateQuestion { nth } => {
                let (id, question) = self.late_questions.remove(nth);
                let answer = self.serve(id, question);
                // It comes at once, if there is somebody still to whom it could.
                let asker = self.processes.iter_mut().find(|process| process.id == id);
                if let Some(asker) = asker {
                    asker.answers.push_back(answer);
                }
            }
            Step::LateAnswer { nth } => {
                let (id, answer) = self.late_answers.remove(nth);
                let asker = self.processes.iter_mut().find(|process| process.id == id);
                if let Some(asker) = asker {
                    asker.answers.push_back(answer);
                }
            }
            Step::Wake { process } => {
                self.processes[process].frozen = false;
                self.check()?;
                self.tell(process, Input::Tick);
            }
            Step::AbleAgain { process } => {
                self.processes[process].able = true;
                self.tell(process, Input::Able(true));
            }
            Step::Pass => self.pass(),
            Step::Fault { fault, process } => self.strike(fault, process),
        }
        self.check()
    }

    fn settled(&self) -> Result<(), String> {
        self.is_calm().then_some(()).ok_or_else(|| format!("all stands still at {}", self.time))
    }
}
