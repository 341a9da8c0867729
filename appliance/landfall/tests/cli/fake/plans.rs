//! Recovery plans, as the fake service knows them.

use control::api::{
    JobId, JobLine, Plan, PlanContinue, PlanCreate, PlanDelete, PlanRun, PlanRunning, PlanState, PlanStep,
    PlanStop, Plans,
};
use control::{ApiError, Code, PlanService};
use units::MachineName;

use super::{Fake, facts};

fn steps() -> Vec<PlanStep> {
    vec![
        PlanStep::Machines { machines: vec!["db-01".parse().unwrap()] },
        PlanStep::Pause { note: "look at the database".to_owned() },
        PlanStep::Hook { program: "switch-dns".to_owned(), seconds: 120 },
    ]
}

fn shop(state: PlanState, done: u64) -> Plan {
    let line = |what: &str| JobLine { time: facts::now(), what: what.to_owned() };
    let ended = matches!(state, PlanState::Done | PlanState::Stopped).then(facts::now);
    let run = PlanRunning {
        number: 2,
        to: None,
        state,
        done,
        steps: steps(),
        started: facts::now(),
        ended,
        jobs: vec![JobId(4)],
        log: vec![line("started"), line("step 1 is done: machines db-01")],
    };
    Plan { name: "shop".parse().unwrap(), steps: steps(), run: Some(run) }
}

impl Fake {
    fn plan(&self, name: &MachineName, state: PlanState, done: u64) -> Result<Plan, ApiError> {
        let unknown = || ApiError::new(Code::PlanUnknown, format!("plan {name} is not known"));
        if name.as_str() == "shop" { Ok(shop(state, done)) } else { Err(unknown()) }
    }
}

impl PlanService for Fake {
    fn plan_list(&self) -> Result<Plans, ApiError> {
        Ok(Plans { time: facts::now(), plans: vec![shop(PlanState::Waiting, 1)] })
    }

    fn plan_show(&self, name: &MachineName) -> Result<Plan, ApiError> {
        self.plan(name, PlanState::Waiting, 1)
    }

    fn plan_create(&self, request: PlanCreate) -> Result<Plan, ApiError> {
        self.note(request.clone());
        match request.name.as_str() {
            "shop" => Err(ApiError::new(Code::PlanExists, "plan shop was not made")),
            _ => Ok(Plan { name: request.name, steps: request.steps, run: None }),
        }
    }

    fn plan_delete(&self, name: &MachineName) -> Result<Plan, ApiError> {
        self.note(PlanDelete { name: name.clone(), confirm: name.to_string() });
        self.plan(name, PlanState::Done, 3)
    }

    fn plan_run(&self, request: PlanRun) -> Result<Plan, ApiError> {
        self.note(request.clone());
        self.plan(&request.name, PlanState::Running, 0)
    }

    fn plan_continue(&self, name: &MachineName) -> Result<Plan, ApiError> {
        self.note(PlanContinue { name: name.clone() });
        self.plan(name, PlanState::Running, 2)
    }

    fn plan_stop(&self, name: &MachineName) -> Result<Plan, ApiError> {
        self.note(PlanStop { name: name.clone() });
        self.plan(name, PlanState::Stopped, 1)
    }
}
