//! A network with two interfaces and a VLAN.

use std::time::Instant;

use control::api::{NetworkNic, NetworkSet, NetworkState, NetworkTrial, NetworkTry};
use control::{ApiError, Code, NetworkService};
use netplan::Plan;

use super::Fake;

/// The plan that is kept.
fn kept() -> Plan {
    let json = r#"{"interfaces":[
        {"name":"eth0","ipv4":{"static":{"addresses":["192.0.2.10/24"],"gateway":"192.0.2.1"}}},
        {"name":"eth1","mac":"00:50:56:00:00:02","ipv4":{"static":{"addresses":["10.7.0.10/16"]}}},
        {"name":"vlan42","vlan":{"id":42,"link":"eth1"},"ipv4":"automatic"}],
        "dns":["192.0.2.53"],"search":["example.com"],"ntp":["ntp.example.com"]}"#;
    serde_json::from_str(json).unwrap()
}

fn state(kept: Option<Plan>, tried: Option<Plan>) -> NetworkState {
    let nic =
        |name: &str, mac: &str, carrier| NetworkNic { name: name.to_owned(), mac: mac.to_owned(), carrier };
    let nics = vec![nic("eth0", "00:50:56:00:00:01", true), nic("eth1", "00:50:56:00:00:02", false)];
    NetworkState { kept, trying: tried.map(|plan| NetworkTrial { plan, left_seconds: 30 }), nics }
}

impl NetworkService for Fake {
    fn network_show(&self) -> Result<NetworkState, ApiError> {
        Ok(state((!self.empty).then(kept), None))
    }

    fn network_try(&self, plan: Plan) -> Result<NetworkState, ApiError> {
        self.note(NetworkTry { plan: plan.clone() });
        if let Err(error) = plan.clone().check() {
            return Err(ApiError::new(Code::NetworkPlan, "the network plan was not tried").because(error));
        }
        Ok(state(Some(kept()), Some(plan)))
    }

    fn network_keep(&self, opened: Option<Instant>) -> Result<NetworkState, ApiError> {
        assert!(opened.is_some(), "whoever takes a connection says when it was opened");
        if self.empty {
            return Err(ApiError::new(Code::NetworkNothing, "no network plan was kept"));
        }
        Ok(state(Some(kept()), None))
    }

    fn network_set(&self, plan: Plan) -> Result<NetworkState, ApiError> {
        self.note(NetworkSet { plan: plan.clone(), confirm: "network".to_owned() });
        Ok(state(Some(plan), None))
    }
}
