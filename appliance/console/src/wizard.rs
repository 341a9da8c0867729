//! First boot: what is asked, in which order. An answer is kept before the next question, so that a power cut goes on where it was.

use netplan::{Interface, Plan};
use seed::PASSWORD_LEN_MIN;

use crate::form::{Form, secret, text};
use crate::glance::Glance;
use crate::network::nic_form;

/// A question of first boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The host's name.
    HostName,
    /// The network of the interface of this place.
    Nic(usize),
    /// Servers of names and time.
    Servers,
    /// The operator's password.
    Password,
    /// The disk for the history.
    Retention,
    /// The fingerprint, and the first token.
    Ready,
}

/// First boot under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wizard {
    /// The question.
    pub step: Step,
    /// The interfaces answered so far, in their order.
    pub interfaces: Vec<Interface>,
}

impl Wizard {
    /// Begins with the first question that has no answer yet.
    pub(crate) fn begin(glance: &Glance) -> Self {
        let answered = glance.answered;
        let step = match () {
            () if !answered.host_name => Step::HostName,
            () if !answered.network && !glance.nics.is_empty() => Step::Nic(0),
            () if !answered.servers && answered.network => Step::Servers,
            () if !answered.password => Step::Password,
            () if !answered.retention => Step::Retention,
            () => Step::Ready,
        };
        Self { step, interfaces: Vec::new() }
    }

    /// Returns the question's number and how many there are.
    pub fn place(&self) -> (usize, usize) {
        let number = match self.step {
            Step::HostName => 1,
            Step::Nic(_) => 2,
            Step::Servers => 3,
            Step::Password => 4,
            Step::Retention => 5,
            Step::Ready => 6,
        };
        (number, 6)
    }

    /// Returns the question as a form, if it is one.
    pub(crate) fn form(&self, glance: &Glance) -> Option<Form> {
        Some(match self.step {
            Step::HostName => {
                let about = "The name of this appliance, by which sources and operators know it. Letters, digits and hyphens, in lower case; \
                    it is in its certificate, and stays.";
                Form::new("Host name", about, vec![text("Host name", glance.host.clone())])
            }
            Step::Nic(at) => nic_form(glance.nics.get(at)?, at, glance.nics.len(), glance.plan.as_ref()),
            Step::Servers => crate::network::servers_form(glance),
            Step::Password => password_form("Password"),
            Step::Retention | Step::Ready => return None,
        })
    }

    /// Returns the plan of all interfaces that were answered.
    pub(crate) fn plan(&self, glance: &Glance) -> Plan {
        let kept = glance.plan.clone().unwrap_or_default();
        Plan { interfaces: self.interfaces.clone(), ..kept }
    }
}

/// Returns the form for a new password.
pub(crate) fn password_form(title: &str) -> Form {
    let about = "The password of this console: asked after F2 and F12. At least 8 characters. There is no other one, and none by default.";
    Form::new(title, about, vec![secret("Password"), secret("Once more")])
}

/// Reads a new password. A refusal marks the field.
pub(crate) fn read_password(form: &mut Form) -> Option<String> {
    let (one, other) = (form.value(0), form.value(1));
    if one.chars().count() < PASSWORD_LEN_MIN {
        let found = one.chars().count();
        form.refuse(0, format!("it has {found} characters; at least {PASSWORD_LEN_MIN} are needed"));
        return None;
    }
    if one != other {
        form.refuse(1, "the two are not the same");
        return None;
    }
    Some(one.to_owned())
}
