//! What the kernel says when a device comes, changes or goes (`lib/kobject_uevent.c` of the kernel).

use thiserror::Error;

use crate::sysfs::DeviceNumber;

/// Bytes a message may have; the kernel's own limit is 2048 for the variables and 4096 in all.
pub(crate) const UEVENT_LEN_MAX: usize = 8192;

/// One message of the kernel about one of its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uevent<'a> {
    /// What happened.
    pub action: UeventAction,
    /// The device's directory, below `/sys`.
    pub directory: &'a str,
    /// What kind of device it is, such as `block`.
    pub subsystem: &'a str,
    /// The name of its node, below `/dev`.
    pub node: Option<&'a str>,
    /// Major and minor number of its node.
    pub number: Option<(u32, u32)>,
}

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UeventAction {
    /// It is there from now on.
    Add,
    /// It is gone.
    Remove,
    /// Something about it is another now, such as its size.
    Change,
    /// Something else, which changes nothing we look at.
    Other,
}

/// Why a message is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UeventError {
    /// It is longer than the kernel makes any.
    #[error("a message of {found} bytes, at most {UEVENT_LEN_MAX} are allowed")]
    Long {
        /// How long.
        found: usize,
    },
    /// Its head, text or variables are not of the kernel's form.
    #[error("a message whose {part} is not as the kernel writes it")]
    Form {
        /// Which part.
        part: &'static str,
    },
}

/// Decodes a message: `ACTION@DIRECTORY`, then variables `NAME=VALUE`, each ended by a zero byte.
pub fn decode_uevent(bytes: &[u8]) -> Result<Uevent<'_>, UeventError> {
    if bytes.len() > UEVENT_LEN_MAX {
        return Err(UeventError::Long { found: bytes.len() });
    }
    let form = |part| UeventError::Form { part };
    let text = std::str::from_utf8(bytes).map_err(|_| form("text"))?;
    let mut parts = text.strip_suffix('\0').ok_or(form("end"))?.split('\0');
    let (action, directory) = parts.next().and_then(|head| head.split_once('@')).ok_or(form("head"))?;
    let mut event =
        Uevent { action: read_action(action), directory, subsystem: "", node: None, number: None };
    let (mut major, mut minor) = (None, None);
    for part in parts {
        let (name, value) = part.split_once('=').ok_or(form("variable"))?;
        match name {
            // Said twice; a message that contradicts itself is none.
            "ACTION" if value != action => return Err(form("action")),
            "DEVPATH" if value != directory => return Err(form("directory")),
            "SUBSYSTEM" => event.subsystem = value,
            "DEVNAME" => event.node = Some(value),
            "MAJOR" => major = Some(value.parse().map_err(|_| form("number"))?),
            "MINOR" => minor = Some(value.parse().map_err(|_| form("number"))?),
            _ => {}
        }
    }
    if !directory.starts_with('/') {
        return Err(form("directory"));
    }
    event.number = major.zip(minor);
    Ok(event)
}

fn read_action(text: &str) -> UeventAction {
    match text {
        "add" => UeventAction::Add,
        "remove" => UeventAction::Remove,
        "change" | "move" | "online" | "offline" => UeventAction::Change,
        _ => UeventAction::Other,
    }
}

impl Uevent<'_> {
    /// Tells whether the devices that can be listed may be others now.
    pub(crate) fn concerns_disks(&self) -> bool {
        self.subsystem == "block" && self.action != UeventAction::Other
    }

    /// Returns the number of the node, for messages.
    pub(crate) fn device(&self) -> Option<DeviceNumber> {
        self.number.map(|(major, minor)| DeviceNumber { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kernel 6.18 wrote them when loop0 was attached, and when a partition appeared.
    const ATTACHED: &[u8] = b"change@/devices/virtual/block/loop0\0ACTION=change\0DEVPATH=/devices/virtual/block/loop0\0SUBSYSTEM=block\0DISK_MEDIA_CHANGE=1\0MAJOR=7\0MINOR=0\0DEVNAME=loop0\0DEVTYPE=disk\0DISKSEQ=11\0SEQNUM=817\0";
    const PARTITION: &[u8] = b"add@/devices/virtual/block/loop0/loop0p1\0ACTION=add\0DEVPATH=/devices/virtual/block/loop0/loop0p1\0SUBSYSTEM=block\0MAJOR=259\0MINOR=0\0DEVNAME=loop0p1\0DEVTYPE=partition\0DISKSEQ=12\0PARTN=1\0SEQNUM=820\0";

    #[test]
    fn the_kernels_messages_are_read() {
        let event = decode_uevent(ATTACHED).unwrap();
        let expected = Uevent {
            action: UeventAction::Change,
            directory: "/devices/virtual/block/loop0",
            subsystem: "block",
            node: Some("loop0"),
            number: Some((7, 0)),
        };
        assert_eq!(event, expected);
        assert!(event.concerns_disks());
        let event = decode_uevent(PARTITION).unwrap();
        assert_eq!((event.action, event.number), (UeventAction::Add, Some((259, 0))));
        let other =
            decode_uevent(b"add@/module/x\0ACTION=add\0DEVPATH=/module/x\0SUBSYSTEM=module\0").unwrap();
        assert!(!other.concerns_disks());
    }

    #[test]
    fn every_truncation_is_refused_or_a_shorter_message() {
        for end in 0..ATTACHED.len() {
            let decoded = decode_uevent(&ATTACHED[..end]);
            let whole = ATTACHED[..end].ends_with(b"\0");
            assert_eq!(decoded.is_ok(), whole, "cut at {end}: {decoded:?}");
        }
    }

    #[test]
    fn every_flipped_bit_is_refused_or_seen_and_none_panics() {
        let golden = decode_uevent(ATTACHED).unwrap();
        for bit in 0..ATTACHED.len() * 8 {
            let mut flipped = ATTACHED.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(event) = decode_uevent(&flipped) else { continue };
            // Only variables that are not looked at may differ without being seen.
            let unseen = ["DISK_MEDIA_CHANGE", "DEVTYPE", "DISKSEQ", "SEQNUM", "ACTION=", "DEVPATH="];
            let text = std::str::from_utf8(ATTACHED).unwrap();
            let begin = text[..bit / 8].rfind('\0').map_or(0, |at| at + 1);
            let part = &text[begin..];
            assert!(
                event != golden || unseen.iter().any(|name| part.starts_with(name)),
                "bit {bit}: {event:?}"
            );
        }
    }

    #[test]
    fn what_contradicts_itself_or_comes_from_elsewhere_is_refused() {
        for bytes in [
            &b"libudev\0\xfe\xed\xca\xfe"[..],
            b"",
            b"\0",
            b"add\0",
            b"add@/a\0ACTION=remove\0",
            b"add@/a\0DEVPATH=/b\0",
            b"add@/a\0MAJOR=x\0",
            b"add@relative\0",
            b"add@/a\0NOVALUE\0",
            &[b'a'; UEVENT_LEN_MAX + 1],
        ] {
            assert!(decode_uevent(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
