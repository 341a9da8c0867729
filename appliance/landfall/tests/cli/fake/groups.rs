//! Consistency groups, as the fake service knows them.

use control::api::{
    Consistency, FailbackPlan, Group, GroupAdd, GroupAttempt, GroupCreate, GroupDelete, GroupDeleted,
    GroupFailback, GroupFailbackStarted, GroupMemberPoint, GroupPoint, GroupPointMake, GroupPoints,
    GroupRemove, GroupTo, Groups, JobId,
};
use control::{ApiError, Code, GroupService};
use units::{MachineName, Sequence};

use super::{Fake, facts};

fn machine_name(name: &str) -> MachineName {
    name.parse().unwrap()
}

fn member(machine: &str, sequence: u64, consistency: Consistency) -> GroupMemberPoint {
    GroupMemberPoint {
        machine: machine_name(machine),
        sequence: Sequence(sequence),
        time: facts::now(),
        consistency,
    }
}

fn point(number: u64) -> GroupPoint {
    let members = vec![
        member("db-01", 700 + number, Consistency::Application),
        member("web-01", 800 + number, Consistency::Crash),
    ];
    GroupPoint { number, time: facts::now(), members }
}

fn shop() -> Group {
    Group {
        name: machine_name("shop"),
        machines: ["db-01", "web-01"].map(machine_name).to_vec(),
        every_seconds: Some(3600),
        own_interval: false,
        hold_ms: 10_000,
        points: 2,
        newest: Some(point(7)),
        last: None,
    }
}

fn office() -> Group {
    let failed = Some("mail-01 did not hold its writes in time".to_owned());
    Group {
        name: machine_name("office"),
        machines: vec![machine_name("mail-01")],
        every_seconds: None,
        own_interval: true,
        points: 0,
        newest: None,
        last: Some(GroupAttempt { number: 3, begun: facts::now(), failed }),
        ..shop()
    }
}

impl Fake {
    fn group(&self, name: &MachineName) -> Result<Group, ApiError> {
        let groups = if self.empty { Vec::new() } else { vec![office(), shop()] };
        let unknown = || ApiError::new(Code::GroupUnknown, format!("group {name} is not known"));
        groups.into_iter().find(|group| group.name == *name).ok_or_else(unknown)
    }
}

impl GroupService for Fake {
    fn group_list(&self) -> Result<Groups, ApiError> {
        let groups = if self.empty { Vec::new() } else { vec![office(), shop()] };
        Ok(Groups { time: facts::now(), groups })
    }

    fn group_show(&self, name: &MachineName) -> Result<Group, ApiError> {
        self.group(name)
    }

    fn group_create(&self, request: GroupCreate) -> Result<Group, ApiError> {
        self.note(request.clone());
        if request.machines.contains(&machine_name("web-01")) {
            let error = ApiError::new(Code::GroupTaken, format!("group {} was not made", request.name));
            return Err(error.because("machine web-01 is a member of group shop"));
        }
        let (points, newest, last) = (0, None, None);
        let every_seconds = request.every_seconds.or(Some(3600));
        let own_interval = request.every_seconds.is_some();
        let hold_ms = request.hold_ms.unwrap_or(10_000);
        Ok(Group {
            name: request.name,
            machines: request.machines,
            every_seconds,
            own_interval,
            hold_ms,
            points,
            newest,
            last,
        })
    }

    fn group_add(&self, request: GroupAdd) -> Result<Group, ApiError> {
        self.note(request.clone());
        let mut group = self.group(&request.name)?;
        group.machines.push(request.machine);
        Ok(Group { points: 0, newest: None, ..group })
    }

    fn group_remove(&self, request: GroupRemove) -> Result<Group, ApiError> {
        self.note(request.clone());
        let mut group = self.group(&request.name)?;
        group.machines.retain(|machine| *machine != request.machine);
        Ok(group)
    }

    fn group_delete(&self, name: &MachineName) -> Result<GroupDeleted, ApiError> {
        self.note(GroupDelete { name: name.clone(), confirm: name.to_string() });
        Ok(GroupDeleted { name: name.clone(), machines: self.group(name)?.machines })
    }

    fn group_point_make(&self, name: &MachineName) -> Result<GroupPoint, ApiError> {
        self.note(GroupPointMake { name: name.clone() });
        let group = self.group(name)?;
        let failed = |last: GroupAttempt| {
            let error =
                ApiError::new(Code::GroupPointFailed, format!("group {name} has no point {}", last.number));
            error.because(last.failed.unwrap())
        };
        group.last.map_or_else(|| Ok(point(8)), |last| Err(failed(last)))
    }

    fn group_point_list(&self, name: &MachineName) -> Result<GroupPoints, ApiError> {
        let points = if self.group(name)?.points == 0 { Vec::new() } else { vec![point(5), point(7)] };
        Ok(GroupPoints { group: name.clone(), time: facts::now(), points })
    }

    fn group_failback(&self, request: GroupFailback) -> Result<GroupFailbackStarted, ApiError> {
        self.note(request.clone());
        let group = self.group(&request.name)?;
        let number = match request.to {
            GroupTo::Latest | GroupTo::Time(_) => 7,
            GroupTo::Number(number) => number,
        };
        if group.points == 0 || number > 7 {
            return Err(ApiError::new(
                Code::GroupPointNone,
                format!("group {} has no such point", request.name),
            ));
        }
        let plans: Vec<FailbackPlan> = group.machines.into_iter().map(facts::plan).collect();
        let jobs = if request.plan_only { Vec::new() } else { vec![JobId(4), JobId(4)] };
        Ok(GroupFailbackStarted { group: request.name, to: point(number), plans, jobs })
    }
}
