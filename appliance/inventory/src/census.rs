//! What is known of the machines of a master target, against what is on its retention volume.
//!
//! Of data the volume is the truth: which machines there are, their ids, generations, disks, policies. Of intent the catalog is: since when a
//! machine is known, that its removal was ordered, and that it should be there when it is not.

use units::MachineName;

use crate::Machine;

/// What becomes of the record of a machine.
#[derive(Clone, Debug, PartialEq)]
pub enum CensusStep {
    /// It is this now.
    Put(Machine),
    /// It goes: the machine was ordered away, and is.
    Remove(MachineName),
}

/// Compares what is known with what a master target has found on its volume, and returns what becomes of the records.
pub fn census(known: &[Machine], found: &[Machine], server: &MachineName) -> Vec<CensusStep> {
    let of = |name: &MachineName| known.iter().find(|machine| machine.name == *name);
    let there = found.iter().filter_map(|machine| {
        let now = match of(&machine.name) {
            // Another id is another machine under the same name.
            Some(before) if before.id == machine.id => {
                Machine { registered: before.registered, leaving: false, ..machine.clone() }
            }
            _ => machine.clone(),
        };
        (of(&machine.name) != Some(&now)).then_some(CensusStep::Put(now))
    });
    let gone = not_found(known, found, server).filter(|machine| machine.leaving);
    there.chain(gone.map(|machine| CensusStep::Remove(machine.name.clone()))).collect()
}

/// Returns the machines of a master target that should be there and are not.
pub fn missing<'a>(
    known: &'a [Machine],
    found: &'a [Machine],
    server: &'a MachineName,
) -> impl Iterator<Item = &'a Machine> {
    not_found(known, found, server).filter(|machine| !machine.leaving)
}

fn not_found<'a>(
    known: &'a [Machine],
    found: &'a [Machine],
    server: &'a MachineName,
) -> impl Iterator<Item = &'a Machine> {
    let own = known.iter().filter(move |machine| machine.server == *server);
    own.filter(|machine| found.iter().all(|found| found.name != machine.name))
}

#[cfg(test)]
mod tests {
    use units::{Generation, MachineId, Timestamp};

    use super::*;

    fn machine(name: &str, id: u8, registered: u64) -> Machine {
        Machine {
            name: name.parse().unwrap(),
            id: MachineId([id; 16]),
            server: "home".parse().unwrap(),
            generation: Generation(1),
            disks: Vec::new(),
            policy: None,
            registered: Timestamp(registered).into(),
            leaving: false,
        }
    }

    fn steps(known: &[Machine], found: &[Machine]) -> Vec<CensusStep> {
        census(known, found, &"home".parse().unwrap())
    }

    #[test]
    fn what_is_on_the_volume_comes_to_be_known_once() {
        let found = [machine("a", 1, 7)];
        assert_eq!(steps(&[], &found), [CensusStep::Put(machine("a", 1, 7))]);
        assert_eq!(steps(&[machine("a", 1, 3)], &found), [], "since when it is known stays");
    }

    #[test]
    fn of_data_the_volume_is_the_truth() {
        let later = Machine { generation: Generation(2), ..machine("a", 1, 7) };
        let expected = Machine { generation: Generation(2), ..machine("a", 1, 3) };
        assert_eq!(steps(&[machine("a", 1, 3)], &[later]), [CensusStep::Put(expected)]);
        let other = machine("a", 2, 7);
        assert_eq!(steps(&[machine("a", 1, 3)], std::slice::from_ref(&other)), [CensusStep::Put(other)]);
    }

    #[test]
    fn a_machine_that_is_not_there_is_missed_unless_it_was_ordered_away() {
        let home = "home".parse().unwrap();
        let known = [machine("a", 1, 3), Machine { leaving: true, ..machine("b", 2, 3) }];
        assert_eq!(steps(&known, &[]), [CensusStep::Remove("b".parse().unwrap())]);
        let names: Vec<_> = missing(&known, &[], &home).map(|machine| machine.name.as_str()).collect();
        assert_eq!(names, ["a"]);
        let still = [machine("a", 1, 3), machine("b", 2, 3)];
        assert_eq!(
            steps(&known, &still),
            [CensusStep::Put(machine("b", 2, 3))],
            "a removal that was cut off"
        );
    }

    #[test]
    fn machines_of_other_servers_are_left_alone() {
        let elsewhere = [Machine { server: "away".parse().unwrap(), ..machine("a", 1, 3) }];
        assert_eq!(steps(&elsewhere, &[]), []);
        assert_eq!(missing(&elsewhere, &[], &"home".parse().unwrap()).count(), 0);
    }
}
