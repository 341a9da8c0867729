//! Keys while first boot is asked.

use super::{Console, Effect};
use crate::form::{Form, Pressed};
use crate::key::Key;
use crate::network::{read_nic, read_servers};
use crate::wizard::{Step, read_password};

impl Console {
    /// Answers a question of first boot.
    pub(super) fn answer(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let Some(step) = self.wizard.as_ref().map(|wizard| wizard.step) else { return };
        match step {
            Step::Retention => return self.choose_disk(key, effects),
            Step::Ready => {
                if key == Key::Enter && self.token.is_some() {
                    self.wizard = None;
                    self.token = None;
                    effects.push(Effect::Finish);
                } else if key == Key::Enter {
                    self.begin("the appliance starts its services", Effect::MakeToken, effects);
                }
                return;
            }
            Step::HostName | Step::Nic(_) | Step::Servers | Step::Password => {}
        }
        let Some(mut form) = self.question.take() else { return };
        match form.key(key) {
            Pressed::Within => {}
            Pressed::Back => {
                if let (Step::Nic(at), Some(wizard)) = (step, &mut self.wizard) {
                    wizard.step = Step::Nic(at.saturating_sub(1));
                    wizard.interfaces.truncate(at.saturating_sub(1));
                    return self.ask(effects);
                }
            }
            Pressed::Submit => self.submit(step, &mut form, effects),
        }
        if self.question.is_none() {
            self.question = Some(form);
        }
    }

    fn submit(&mut self, step: Step, form: &mut Form, effects: &mut Vec<Effect>) {
        match step {
            Step::HostName => {
                let name = form.value(0).to_ascii_lowercase();
                match name.parse::<units::MachineName>() {
                    Ok(_) => self.begin("the name is taken", Effect::SetHostName(name), effects),
                    Err(error) => form.refuse(0, error.to_string()),
                }
            }
            Step::Nic(at) => self.submit_nic(at, form, effects),
            Step::Servers => {
                // What was kept a moment ago may not have been looked at yet.
                let mut glance = self.glance.clone();
                if let Some(wizard) = self.wizard.as_ref().filter(|wizard| !wizard.interfaces.is_empty()) {
                    glance.plan = Some(wizard.plan(&self.glance));
                }
                if let Some(plan) = read_servers(form, &glance) {
                    self.begin("the servers are told to the system", Effect::SetServers(plan), effects);
                }
            }
            Step::Password => {
                if let Some(password) = read_password(form) {
                    self.begin("the password is hashed", Effect::SetPassword(password.into()), effects);
                }
            }
            Step::Retention | Step::Ready => unreachable!("these are no forms"),
        }
    }

    fn submit_nic(&mut self, at: usize, form: &mut Form, effects: &mut Vec<Effect>) {
        let (Some(nic), Some(wizard)) = (self.glance.nics.get(at).cloned(), &mut self.wizard) else { return };
        let Some(interface) = read_nic(form, &nic) else { return };
        wizard.interfaces.truncate(at);
        wizard.interfaces.push(interface);
        if at + 1 < self.glance.nics.len() {
            wizard.step = Step::Nic(at + 1);
            return self.ask(effects);
        }
        match wizard.plan(&self.glance).check() {
            Ok(plan) => self.begin("the network is set up", Effect::TryPlan(plan.into_plan()), effects),
            Err(error) => form.refuse(0, error.to_string()),
        }
    }

    fn choose_disk(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let count = self.glance.disks.len();
        match key {
            Key::Up => self.disk = self.disk.saturating_sub(1),
            Key::Down => self.disk = (self.disk + 1).min(count.saturating_sub(1)),
            Key::Enter => match self.glance.disks.get(self.disk) {
                None => self.fault = Some("there is no disk; attach one, it is seen at once".to_owned()),
                Some(disk) if disk.refused.is_some() => {
                    self.fault = Some("this disk can't hold the history; choose another".to_owned())
                }
                Some(disk) => {
                    let disk = disk.path.clone();
                    self.begin("the disk becomes the retention volume", Effect::TakeDisk(disk), effects);
                }
            },
            _ => return,
        }
        if key != Key::Enter {
            self.fault = None;
        }
    }
}
