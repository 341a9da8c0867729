//! Which disk is the retention volume, or becomes it: a function of what was told, what is remembered, and what is there.

use std::path::{Path, PathBuf};

use seed::Retention;
use serde::{Deserialize, Serialize};
use units::VolumeId;
use volume::State;

/// What is remembered of the volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remembered {
    /// Its id, 32 hexadecimal digits.
    pub(crate) volume: String,
    /// Whether its making has ended. Before that, a disk that holds nothing may still become it.
    pub(crate) made: bool,
}

/// A disk that is a retention volume, or may become one.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The names it can be told by, beside its path.
    pub(crate) names: Vec<String>,
    /// How far it is.
    pub(crate) state: State,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Mount this one.
    Mount(PathBuf),
    /// Make this one, from where it is.
    Make(PathBuf, State),
    /// Wait, for this reason.
    Wait(String),
}

/// Chooses. A volume that was made is never replaced by another disk, however empty; none is made before somebody has said of which disk.
pub(crate) fn choose(
    told: Option<&Retention>,
    remembered: Option<&Remembered>,
    disks: &[Candidate],
) -> Choice {
    if let Some(remembered) = remembered {
        let is_it = |volume: VolumeId| volume.to_string() == remembered.volume;
        for disk in disks {
            match disk.state {
                State::Formatted(volume, _) if is_it(volume) && remembered.made => {
                    return Choice::Mount(disk.path.clone());
                }
                State::Formatted(volume, _) | State::HalfMade(volume) if is_it(volume) => {
                    return Choice::Make(disk.path.clone(), disk.state);
                }
                _ => {}
            }
        }
        if remembered.made {
            return Choice::Wait(format!("the retention volume {} is not attached", remembered.volume));
        }
    }
    let Some(told) = told else {
        return Choice::Wait("the console asks which disk holds the history".to_owned());
    };
    let named = |disk: &&Candidate| match told {
        Retention::Automatic => true,
        Retention::Later => false,
        Retention::Disk(name) => disk.path == Path::new(name) || disk.names.contains(name),
    };
    let empty: Vec<_> = disks.iter().filter(|disk| disk.state == State::Empty).filter(named).collect();
    match (empty.as_slice(), told) {
        ([only], _) => Choice::Make(only.path.clone(), State::Empty),
        (_, Retention::Later) => {
            Choice::Wait("it was told that the retention disk is chosen later".to_owned())
        }
        ([], Retention::Disk(name)) => Choice::Wait(format!("there is no empty disk {name}")),
        ([], _) => Choice::Wait("there is no empty disk that could hold the history; attach one".to_owned()),
        (several, _) => {
            let paths: Vec<_> = several.iter().map(|disk| disk.path.display().to_string()).collect();
            Choice::Wait(format!(
                "several disks are empty: {}; say which one holds the history",
                paths.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use volume::FileSystem;

    use super::*;

    const VOLUME: VolumeId = VolumeId([7; 16]);

    fn disk(name: &str, state: State) -> Candidate {
        Candidate { path: format!("/dev/{name}").into(), names: vec![format!("disk:{name}")], state }
    }

    fn remembered(made: bool) -> Remembered {
        Remembered { volume: VOLUME.to_string(), made }
    }

    #[test]
    fn the_one_empty_disk_is_taken_and_of_several_only_the_named_one() {
        let (one, other) = (disk("sdb", State::Empty), disk("sdc", State::Empty));
        let made = |path: &str| Choice::Make(path.into(), State::Empty);
        assert_eq!(choose(Some(&Retention::Automatic), None, std::slice::from_ref(&one)), made("/dev/sdb"));
        let both = [one, other];
        assert!(
            matches!(choose(Some(&Retention::Automatic), None, &both), Choice::Wait(why) if why.contains("several"))
        );
        assert_eq!(choose(Some(&Retention::Disk("disk:sdc".to_owned())), None, &both), made("/dev/sdc"));
        assert!(matches!(
            choose(Some(&Retention::Disk("disk:sdd".to_owned())), None, &both),
            Choice::Wait(_)
        ));
        assert!(matches!(choose(Some(&Retention::Later), None, &both[..1]), Choice::Wait(_)));
        assert!(matches!(choose(Some(&Retention::Automatic), None, &[]), Choice::Wait(_)));
    }

    #[test]
    fn no_disk_is_taken_before_somebody_has_said_which() {
        let only = [disk("sdb", State::Empty)];
        assert!(matches!(choose(None, None, &only), Choice::Wait(why) if why.contains("console asks")));
        let begun = choose(None, Some(&remembered(false)), &[disk("sdb", State::HalfMade(VOLUME))]);
        assert_eq!(
            begun,
            Choice::Make("/dev/sdb".into(), State::HalfMade(VOLUME)),
            "what was begun is ended"
        );
    }

    #[test]
    fn a_volume_that_was_made_is_never_replaced() {
        let other = disk("sdb", State::Formatted(VolumeId([8; 16]), FileSystem::Xfs));
        let disks = [disk("sda", State::Empty), other];
        let waits = choose(Some(&Retention::Automatic), Some(&remembered(true)), &disks);
        assert!(matches!(waits, Choice::Wait(why) if why.contains("is not attached")));
        let own = disk("sdc", State::Formatted(VOLUME, FileSystem::Ext4));
        let disks = [disks.as_slice(), &[own]].concat();
        assert_eq!(
            choose(Some(&Retention::Later), Some(&remembered(true)), &disks),
            Choice::Mount("/dev/sdc".into())
        );
    }

    #[test]
    fn what_was_begun_is_ended_after_a_power_cut_at_any_step() {
        let automatic =
            |state| choose(Some(&Retention::Automatic), Some(&remembered(false)), &[disk("sdb", state)]);
        for state in [State::Empty, State::HalfMade(VOLUME), State::Formatted(VOLUME, FileSystem::Xfs)] {
            assert_eq!(automatic(state), Choice::Make("/dev/sdb".into(), state));
        }
        let foreign = State::Formatted(VolumeId([8; 16]), FileSystem::Xfs);
        assert!(
            matches!(automatic(foreign), Choice::Wait(_)),
            "somebody else's history is not taken unasked"
        );
    }
}
