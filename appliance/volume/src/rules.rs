//! The rules of eligibility: a function of facts, so that each can be tried without the disk it is about.

use blockdev::{DeviceListing, DiskLook, UseKind};
use control::Code;
use units::ByteLen;

/// A retention volume of less is of no use; it is also the least XFS makes.
const VOLUME_LEN_MIN: ByteLen = ByteLen::mib(300);

/// What somebody wants a disk for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To become a machine's disk again; what is on it is overwritten.
    TargetDisk {
        /// The size of the disk that is to go on it; zero when that is not known yet.
        len_min: ByteLen,
    },
    /// To be made into the retention volume.
    RetentionVolume,
}

/// What a disk is to Landfall already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    None,
    /// A target disk; of which machine, such as `web-01 disk 0`.
    TargetDisk(String),
    /// The retention volume.
    RetentionVolume,
}

/// All that is known of a disk.
#[derive(Clone, Copy, Debug)]
pub struct DiskFacts<'a> {
    /// What the kernel says of it.
    pub listing: &'a DeviceListing,
    /// What is on it, or why that can't be seen; `None` when nobody has looked.
    pub look: Option<&'a Result<DiskLook, String>>,
    /// What it is to Landfall.
    pub role: &'a Role,
}

/// A rule that a disk can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// It has a capacity.
    Capacity,
    /// It is not the system disk.
    System,
    /// It is not mounted.
    Mounted,
    /// It is not swapped to.
    Swap,
    /// It is no part of another device.
    Held,
    /// It can be written.
    Writable,
    /// No other program holds it.
    Unlocked,
    /// Its sectors are 512 or 4096 bytes.
    Sectors,
    /// Its medium stays in.
    Fixed,
    /// It can be known again.
    Named,
    /// It is nobody's target disk.
    NoTarget,
    /// It is not the retention volume.
    NoRetention,
    /// It is not of the FAT family.
    NoFat,
    /// It holds nothing.
    Empty,
    /// It is large enough.
    Large,
    /// It can be read.
    Readable,
}

/// A rule that is broken, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// What was found, in a few words.
    pub evidence: String,
}

impl Rule {
    /// Returns the code of a refusal by this rule.
    pub fn code(self) -> Code {
        match self {
            Self::Capacity => Code::DiskNoCapacity,
            Self::System => Code::DiskSystem,
            Self::Mounted => Code::DiskMounted,
            Self::Swap => Code::DiskSwap,
            Self::Held => Code::DiskHeld,
            Self::Writable => Code::DiskReadOnly,
            Self::Unlocked => Code::DiskLocked,
            Self::Sectors => Code::DiskSectors,
            Self::Fixed => Code::DiskRemovable,
            Self::Named => Code::DiskNameless,
            Self::NoTarget => Code::DiskTaken,
            Self::NoRetention => Code::DiskIsRetention,
            Self::NoFat => Code::VolumeFileSystem,
            Self::Empty => Code::DiskHasData,
            Self::Large => Code::DiskTooSmall,
            Self::Readable => Code::DiskFailed,
        }
    }
}

/// Returns every rule a disk breaks for this purpose; none means that it is eligible.
pub fn eligible(facts: &DiskFacts<'_>, purpose: Purpose) -> Vec<Refusal> {
    let listing = facts.listing;
    let mut refusals = Vec::new();
    let mut refuse = |rule, evidence: String| refusals.push(Refusal { rule, evidence });
    if listing.len == ByteLen::ZERO {
        refuse(Rule::Capacity, "its size is 0 bytes".to_owned());
    }
    match facts.role {
        Role::None => {}
        Role::TargetDisk(of) => refuse(Rule::NoTarget, format!("it is {of}")),
        Role::RetentionVolume => refuse(Rule::NoRetention, "the history is on it".to_owned()),
    }
    for each in &listing.uses {
        refuse(rule_of(each.kind), each.what.clone());
    }
    if listing.read_only {
        refuse(Rule::Writable, "the kernel says that it is read-only".to_owned());
    }
    if listing.sector != 512 && listing.sector != 4096 {
        refuse(Rule::Sectors, format!("its sectors have {} bytes", listing.sector));
    }
    if listing.removable {
        refuse(Rule::Fixed, "its medium can be taken out".to_owned());
    }
    refusals.extend(for_purpose(facts, purpose));
    // Who holds it is told by what uses it, where that is known.
    if listing.uses.is_empty() && *facts.role == Role::None {
        refusals.extend(locked(facts));
    }
    refusals
}

fn rule_of(kind: UseKind) -> Rule {
    match kind {
        UseKind::System => Rule::System,
        UseKind::Mounted => Rule::Mounted,
        UseKind::Swap => Rule::Swap,
        UseKind::Held | UseKind::Behind => Rule::Held,
    }
}

fn for_purpose(facts: &DiskFacts<'_>, purpose: Purpose) -> Vec<Refusal> {
    let listing = facts.listing;
    let needed = match purpose {
        Purpose::TargetDisk { len_min } => len_min,
        Purpose::RetentionVolume => VOLUME_LEN_MIN,
    };
    let mut refusals = Vec::new();
    if listing.len > ByteLen::ZERO && listing.len < needed {
        let evidence = format!("it has {}, at least {needed} are needed", listing.len);
        refusals.push(Refusal { rule: Rule::Large, evidence });
    }
    match purpose {
        Purpose::TargetDisk { .. } if listing.identity.is_none() => {
            let evidence = "it has neither serial number nor WWID".to_owned();
            refusals.push(Refusal { rule: Rule::Named, evidence });
        }
        Purpose::TargetDisk { .. } => {}
        Purpose::RetentionVolume => refusals.extend(holds(facts)),
    }
    refusals
}

/// What is on it: the reason not to make a file system over it.
fn holds(facts: &DiskFacts<'_>) -> Vec<Refusal> {
    let look = match facts.look {
        None => return Vec::new(),
        Some(Err(why)) => return vec![Refusal { rule: Rule::Readable, evidence: why.clone() }],
        Some(Ok(look)) => look,
    };
    let of_fat = look.contents.iter().filter(|content| content.kind.is_fat_family());
    let mut refusals: Vec<_> = of_fat
        .map(|content| Refusal { rule: Rule::NoFat, evidence: format!("it holds {content}") })
        .collect();
    let found: Vec<_> = look.contents.iter().map(ToString::to_string).collect();
    let evidence = match (found.as_slice(), look.data) {
        ([], None) => return refusals,
        ([], Some(at)) => format!("there is data of an unknown kind at {at}"),
        (found, _) => format!("it holds {}", found.join("; ")),
    };
    refusals.push(Refusal { rule: Rule::Empty, evidence });
    refusals
}

fn locked(facts: &DiskFacts<'_>) -> Option<Refusal> {
    let Some(Ok(look)) = facts.look else { return None };
    let evidence = || "another program has opened it as the only one".to_owned();
    look.locked.then(|| Refusal { rule: Rule::Unlocked, evidence: evidence() })
}

#[cfg(test)]
mod tests {
    use blockdev::{Content, ContentKind, DiskUse};
    use units::ByteOffset;

    use super::*;

    const TARGET: Purpose = Purpose::TargetDisk { len_min: ByteLen::ZERO };

    fn good() -> DeviceListing {
        DeviceListing {
            path: "/dev/sdb".into(),
            name: "sdb".to_owned(),
            len: ByteLen::gib(100),
            sector: 512,
            model: None,
            identity: "disk:naa.5002538f70a1b2c3".parse().ok(),
            read_only: false,
            removable: false,
            uses: Vec::new(),
            medium: 1,
        }
    }

    fn rules(listing: &DeviceListing, look: DiskLook, role: &Role, purpose: Purpose) -> Vec<Rule> {
        let facts = DiskFacts { listing, look: Some(&Ok(look)), role };
        let refusals = eligible(&facts, purpose);
        assert!(refusals.iter().all(|refusal| !refusal.evidence.is_empty()));
        refusals.into_iter().map(|refusal| refusal.rule).collect()
    }

    fn used(kind: UseKind) -> DeviceListing {
        DeviceListing { uses: vec![DiskUse { kind, what: "sdb is used".to_owned() }], ..good() }
    }

    fn holding(kind: ContentKind) -> DiskLook {
        let content = Content { kind, at: ByteOffset(0), label: String::new(), uuid: String::new() };
        DiskLook { contents: vec![content], data: Some(ByteOffset(0)), locked: false }
    }

    #[test]
    fn an_empty_unused_disk_may_become_either() {
        for purpose in [TARGET, Purpose::RetentionVolume] {
            assert_eq!(rules(&good(), DiskLook::default(), &Role::None, purpose), []);
        }
    }

    #[test]
    fn each_rule_refuses_what_it_is_for_and_only_that() {
        let cases = [
            (used(UseKind::System), Rule::System),
            (used(UseKind::Mounted), Rule::Mounted),
            (used(UseKind::Swap), Rule::Swap),
            (used(UseKind::Held), Rule::Held),
            (used(UseKind::Behind), Rule::Held),
            (DeviceListing { read_only: true, ..good() }, Rule::Writable),
            (DeviceListing { removable: true, ..good() }, Rule::Fixed),
            (DeviceListing { sector: 520, ..good() }, Rule::Sectors),
            (DeviceListing { len: ByteLen::ZERO, ..good() }, Rule::Capacity),
        ];
        for (listing, rule) in cases {
            for purpose in [TARGET, Purpose::RetentionVolume] {
                assert_eq!(rules(&listing, DiskLook::default(), &Role::None, purpose), [rule]);
            }
        }
        let locked = DiskLook { locked: true, ..DiskLook::default() };
        assert_eq!(rules(&good(), locked.clone(), &Role::None, TARGET), [Rule::Unlocked]);
        assert_eq!(rules(&used(UseKind::Mounted), locked, &Role::None, TARGET), [Rule::Mounted]);
    }

    #[test]
    fn what_is_one_already_is_not_made_into_another() {
        let target = Role::TargetDisk("web-01 disk 0".to_owned());
        for purpose in [TARGET, Purpose::RetentionVolume] {
            assert_eq!(rules(&good(), DiskLook::default(), &target, purpose), [Rule::NoTarget]);
            assert_eq!(
                rules(&used(UseKind::Mounted), DiskLook::default(), &Role::RetentionVolume, purpose),
                [Rule::NoRetention, Rule::Mounted]
            );
        }
    }

    #[test]
    fn data_keeps_a_disk_from_becoming_a_retention_volume_and_not_from_becoming_a_target_disk() {
        let new = Purpose::RetentionVolume;
        assert_eq!(rules(&good(), holding(ContentKind::Ext4), &Role::None, new), [Rule::Empty]);
        assert_eq!(rules(&good(), holding(ContentKind::Fat), &Role::None, new), [Rule::NoFat, Rule::Empty]);
        assert_eq!(rules(&good(), holding(ContentKind::ExFat), &Role::None, new), [Rule::NoFat, Rule::Empty]);
        let unknown = DiskLook { data: Some(ByteOffset(77)), ..DiskLook::default() };
        assert_eq!(rules(&good(), unknown, &Role::None, new), [Rule::Empty]);
        assert_eq!(rules(&good(), holding(ContentKind::Gpt), &Role::None, TARGET), []);
        let listing = good();
        let facts = DiskFacts { listing: &listing, look: Some(&Err("EIO".to_owned())), role: &Role::None };
        assert_eq!(eligible(&facts, new)[0].rule, Rule::Readable);
    }

    #[test]
    fn size_and_name_count_for_what_needs_them() {
        let small = DeviceListing { len: ByteLen::mib(100), ..good() };
        assert_eq!(rules(&small, DiskLook::default(), &Role::None, TARGET), []);
        assert_eq!(rules(&small, DiskLook::default(), &Role::None, Purpose::RetentionVolume), [Rule::Large]);
        let large = Purpose::TargetDisk { len_min: ByteLen::mib(101) };
        assert_eq!(rules(&small, DiskLook::default(), &Role::None, large), [Rule::Large]);
        let nameless = DeviceListing { identity: None, ..good() };
        assert_eq!(rules(&nameless, DiskLook::default(), &Role::None, TARGET), [Rule::Named]);
        assert_eq!(rules(&nameless, DiskLook::default(), &Role::None, Purpose::RetentionVolume), []);
    }
}
