//! What a retention volume says of itself: made with it, looked at before anything else on it is touched.

use std::path::Path;

use blockdev::{DirVolume, EngineChoice, PagePool, Volume, directory_facts, open_engine};
use retention::{DecodeError, Policy, Superblock};
use units::{ByteLen, MachineName, Timestamp, VolumeId};

use crate::error::TargetError;
use crate::replica::{ReplicaError, SlotFile};

/// Where the superblock lies.
const PATH: &str = "superblock";
/// What lies at the top of a retention volume, and nothing else does.
const TOP: [&str; 4] = [PATH, "machines", "generations", "catalog.copy"];

/// What may be done to a volume that is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// Only look.
    Look,
    /// Serve it, as this node; refused when it is another's.
    Serve(&'a MachineName),
    /// Hand it over to whichever node serves it next.
    HandOver,
}

/// What a new superblock says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewVolume {
    /// Which volume it is, 16 random bytes.
    pub volume: VolumeId,
    /// When it is made.
    pub created: Timestamp,
    /// The policy of machines that have none of their own.
    pub defaults: Policy,
}

/// Checks that a directory can hold a retention volume, without touching it. Errors: no directory, a file system that can't keep it,
/// read-only, no capacity, or something in it that is not a retention volume's.
pub fn check_directory(directory: &Path) -> Result<(), TargetError> {
    let at = || directory.to_owned();
    let facts = directory_facts(directory, &TOP)
        .map_err(|source| TargetError::Directory { directory: at(), source: source.into() })?;
    if let Some(file_system) = facts.fat {
        return Err(TargetError::VolumeFileSystem { directory: at(), file_system });
    }
    if facts.read_only {
        return Err(TargetError::VolumeReadOnly { directory: at() });
    }
    if facts.capacity == ByteLen::ZERO {
        return Err(TargetError::VolumeNoCapacity { directory: at() });
    }
    // A volume that says what it is may hold what somebody put beside it; one that does not is an older one, or new.
    match facts.foreign.as_slice() {
        [found, ..] if facts.own.is_empty() => {
            Err(TargetError::VolumeOccupied { directory: at(), found: found.clone() })
        }
        _ => Ok(()),
    }
}

/// Returns what a volume says of itself, or `None` if it was made before volumes did, or is new. Errors: it is damaged.
pub fn read_superblock(volume: &DirVolume, choice: EngineChoice) -> Result<Option<Superblock>, TargetError> {
    with_file(volume, choice, |_, file| Ok(file.record().clone()))
}

/// Opens what a volume says of itself, makes it where it is missing, and claims the volume; durable on return. Errors: it is
/// damaged, or another node's.
pub fn claim_volume(
    volume: &DirVolume,
    choice: EngineChoice,
    claim: Claim<'_>,
    new: &NewVolume,
) -> Result<Superblock, TargetError> {
    let owner = |was: &Option<MachineName>| match claim {
        Claim::Look => was.clone(),
        Claim::Serve(node) => Some(node.clone()),
        Claim::HandOver => None,
    };
    let claimed = with_file(volume, choice, |engine, file| {
        let was = file.record().owner.clone();
        let next = owner(&was);
        if let (Claim::Serve(node), Some(other)) = (claim, &was)
            && node != other
        {
            let (owner, node) = (other.clone(), node.clone());
            return Err(TargetError::VolumeOwned { directory: volume.root().to_owned(), owner, node });
        }
        if next != was {
            file.update(engine, |record| record.owner = next).map_err(TargetError::Superblock)?;
        }
        Ok(file.record().clone())
    })?;
    match claimed {
        Some(superblock) => Ok(superblock),
        None => make(volume, choice, new, owner(&None)),
    }
}

/// Changes the policy of machines that have none of their own; durable on return. Errors: the volume does not say what it is.
pub(crate) fn set_defaults(
    volume: &DirVolume,
    choice: EngineChoice,
    defaults: Policy,
) -> Result<(), TargetError> {
    let set = with_file(volume, choice, |engine, file| {
        file.update(engine, |record| record.defaults = defaults).map_err(TargetError::Superblock)
    })?;
    let lost = DecodeError::Short { found: 0, needed: 1 };
    let (file, at) = (PATH.to_owned(), units::ByteOffset(0));
    set.ok_or(TargetError::Superblock(ReplicaError::Damaged { file, at, cause: lost }))
}

fn make(
    volume: &DirVolume,
    choice: EngineChoice,
    new: &NewVolume,
    owner: Option<MachineName>,
) -> Result<Superblock, TargetError> {
    let NewVolume { volume: id, created, defaults } = *new;
    let superblock = Superblock { revision: 0, volume: id, created, defaults, owner };
    let mut engine = open_engine(4, choice)?;
    // A crash in the first making has left a file without a record.
    volume.remove(PATH)?;
    let file = SlotFile::create(&mut engine, volume, PATH, superblock).map_err(TargetError::Superblock)?;
    tracing::info!(volume = %id, "superblock made");
    Ok(file.record().clone())
}

/// Runs something on the superblock, if there is one.
fn with_file<T>(
    volume: &DirVolume,
    choice: EngineChoice,
    run: impl FnOnce(&mut blockdev::HostEngine, &mut SlotFile<Superblock>) -> Result<T, TargetError>,
) -> Result<Option<T>, TargetError> {
    if !volume.list("")?.iter().any(|name| name == PATH) {
        return Ok(None);
    }
    let (mut engine, pool) = (open_engine(4, choice)?, PagePool::new(4, 256 << 10));
    match SlotFile::open(&mut engine, &pool, volume, PATH, Ok) {
        Ok(mut file) => run(&mut engine, &mut file).map(Some),
        Err(ReplicaError::Damaged { cause: DecodeError::Blank, .. }) => Ok(None),
        Err(error) => Err(TargetError::Superblock(error)),
    }
}

#[cfg(test)]
mod tests {
    use retention::WhenFull;

    use super::*;

    const NEW: NewVolume = NewVolume {
        volume: VolumeId([7; 16]),
        created: Timestamp(1_700_000_000_000_000),
        defaults: Policy {
            rpo_seconds: 900,
            window_seconds: 86_400,
            application_seconds: 0,
            budget: ByteLen::gib(1),
            when_full: WhenFull::Shrink,
        },
    };

    fn claim(directory: &Path, claim: Claim<'_>) -> Result<Superblock, TargetError> {
        claim_volume(&DirVolume::open(directory)?, EngineChoice::Plain, claim, &NEW)
    }

    fn name(text: &str) -> MachineName {
        text.parse().unwrap()
    }

    #[test]
    fn a_volume_belongs_to_the_node_that_serves_it_until_it_is_handed_over() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (name("home-01"), name("home-02"));
        let made = claim(directory.path(), Claim::Look).unwrap();
        assert_eq!((made.volume, made.owner), (NEW.volume, None));
        assert_eq!(claim(directory.path(), Claim::Serve(&one)).unwrap().owner, Some(one.clone()));
        assert_eq!(claim(directory.path(), Claim::Serve(&one)).unwrap().owner, Some(one.clone()));
        let refused = claim(directory.path(), Claim::Serve(&other)).unwrap_err();
        assert!(matches!(&refused, TargetError::VolumeOwned { owner, .. } if *owner == one), "{refused}");
        assert_eq!(
            claim(directory.path(), Claim::Look).unwrap().owner,
            Some(one),
            "a refusal changes nothing"
        );
        assert_eq!(claim(directory.path(), Claim::HandOver).unwrap().owner, None);
        assert_eq!(claim(directory.path(), Claim::Serve(&other)).unwrap().owner, Some(other));
    }

    #[test]
    fn an_unfinished_superblock_is_made_again_and_a_damaged_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let volume = DirVolume::open(directory.path()).unwrap();
        drop(volume.create(PATH, ByteLen::kib(256)).unwrap());
        drop(volume);
        assert_eq!(claim(directory.path(), Claim::Look).unwrap().volume, NEW.volume);
        let path = directory.path().join(PATH);
        let whole = std::fs::read(&path).unwrap();
        let copy = whole.len() / 4;
        // Any three copies may be lost.
        for kept in 0..4 {
            let mut bytes = whole.clone();
            (0..4).filter(|number| *number != kept).for_each(|number| bytes[number * copy + 60] ^= 1);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(claim(directory.path(), Claim::Look).unwrap().volume, NEW.volume, "copy {kept}");
        }
        let mut bytes = whole;
        (0..4).for_each(|number| bytes[number * copy + 60] ^= 1);
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(claim(directory.path(), Claim::Look), Err(TargetError::Superblock(_))));
    }

    #[test]
    fn a_directory_with_something_else_in_it_is_no_volume_and_an_older_volume_is_one() {
        let directory = tempfile::tempdir().unwrap();
        assert!(check_directory(directory.path()).is_ok(), "an empty one");
        std::fs::write(directory.path().join("photo.jpg"), "x").unwrap();
        let refused = check_directory(directory.path()).unwrap_err();
        assert!(
            matches!(&refused, TargetError::VolumeOccupied { found, .. } if found == "photo.jpg"),
            "{refused}"
        );
        std::fs::create_dir(directory.path().join("machines")).unwrap();
        assert!(check_directory(directory.path()).is_ok(), "one of an older version");
        let missing = check_directory(&directory.path().join("none")).unwrap_err();
        assert!(matches!(missing, TargetError::Directory { .. }));
    }
}
