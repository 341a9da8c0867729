//! Which disks come, change and go, told by the kernel as it happens.
//!
//! An event is a hint to look, never a fact: after each the disks are listed anew, and the difference is told. So nothing is lost
//! when the kernel drops messages, when many come at once, or where its socket is not allowed: then a look every few seconds does.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};
use units::ByteLen;

use crate::discover::list_in;
use crate::sysfs::Host;
use crate::uevent::{UEVENT_LEN_MAX, decode_uevent};
use crate::{DeviceError, DeviceListing};

/// The group the kernel itself speaks to (`man 7 netlink`).
const KERNEL_GROUP: u32 = 1;
/// Between two looks where no events come, and where they do: a mount, for one, makes none.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_EVERY_WITH_EVENTS: Duration = Duration::from_secs(30);
/// After an event another is waited for this long: a disk's partitions follow it, and its node may come a little later.
const SETTLE: Duration = Duration::from_millis(50);
/// Between two looks while a device has no node yet.
const LOOK_FOR_NODE: Duration = Duration::from_millis(250);

/// What is told of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChange {
    /// It is there, with its node.
    Added(DeviceListing),
    /// It is another now, or something about it is: size, identity, use.
    Changed {
        /// As it was.
        was: DeviceListing,
        /// As it is.
        now: DeviceListing,
    },
    /// It, its medium or its node is gone.
    Removed(DeviceListing),
}

/// How a watch learns of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchBy {
    /// From the kernel's events, if their socket is allowed; else by looking.
    Events,
    /// By looking every few seconds.
    Looks,
}

/// Follows the disks of this host.
#[derive(Debug)]
pub struct Watch {
    host: Host,
    socket: Option<OwnedFd>,
    known: BTreeMap<String, DeviceListing>,
    looked: Instant,
    waits_for_node: bool,
}

impl Watch {
    /// Begins with the disks that are there now; they are told by [`Watch::devices`], not as changes.
    pub fn open(by: WatchBy) -> Self {
        let socket = match by {
            WatchBy::Events => {
                event_socket().map_err(|error| tracing::warn!(%error, "no device events")).ok()
            }
            WatchBy::Looks => None,
        };
        // The socket comes first: what happens from here on is seen in either.
        let mut watch = Self {
            host: Host::this(),
            socket,
            known: BTreeMap::new(),
            looked: Instant::now(),
            waits_for_node: false,
        };
        watch.look();
        watch
    }

    /// Tells whether the kernel's events are heard.
    pub fn hears_events(&self) -> bool {
        self.socket.is_some()
    }

    /// Returns the disks as they were last seen, by name.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceListing> {
        self.known.values()
    }

    /// Waits for changes, `limit` at the longest, and returns them; none when there were none.
    pub fn wait(&mut self, limit: Duration) -> Vec<DeviceChange> {
        let deadline = Instant::now() + limit;
        loop {
            let due = self.looked + self.pause();
            let heard = self.hear(due.min(deadline).saturating_duration_since(Instant::now()));
            if heard {
                self.settle();
            }
            if heard || Instant::now() >= due {
                let changes = self.look();
                if !changes.is_empty() {
                    return changes;
                }
            }
            if Instant::now() >= deadline {
                return Vec::new();
            }
        }
    }

    fn pause(&self) -> Duration {
        match (&self.socket, self.waits_for_node) {
            (_, true) => LOOK_FOR_NODE,
            (Some(_), false) => LOOK_EVERY_WITH_EVENTS,
            (None, false) => LOOK_EVERY,
        }
    }

    /// Waits for a message that concerns disks; without a socket it only waits.
    fn hear(&mut self, limit: Duration) -> bool {
        let Some(socket) = &self.socket else {
            std::thread::sleep(limit);
            return false;
        };
        let wait = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        let mut polled = [PollFd::new(socket, PollFlags::IN)];
        if !poll(&mut polled, Some(&wait)).is_ok_and(|ready| ready > 0) {
            return false;
        }
        drain(socket)
    }

    /// Takes what follows an event closely, so that one look does for all.
    fn settle(&mut self) {
        let most = Instant::now() + 10 * SETTLE;
        while Instant::now() < most && self.hear(SETTLE) {}
    }

    /// Lists the disks and returns what is different from the last time.
    fn look(&mut self) -> Vec<DeviceChange> {
        let listed = list_in(&self.host).into_iter().filter(|disk| disk.len > ByteLen::ZERO);
        let (there, without): (Vec<_>, Vec<_>) = listed.partition(|disk| disk.path.exists());
        self.waits_for_node = !without.is_empty();
        self.looked = Instant::now();
        let now: BTreeMap<_, _> = there.into_iter().map(|disk| (disk.name.clone(), disk)).collect();
        let was = std::mem::replace(&mut self.known, now);
        differences(was, &self.known)
    }
}

fn differences(
    was: BTreeMap<String, DeviceListing>,
    now: &BTreeMap<String, DeviceListing>,
) -> Vec<DeviceChange> {
    let mut changes = Vec::new();
    for (name, before) in &was {
        match now.get(name) {
            None => changes.push(DeviceChange::Removed(before.clone())),
            // The same name, another medium: one went and another came.
            Some(after) if after.medium != before.medium => {
                changes.push(DeviceChange::Removed(before.clone()));
                changes.push(DeviceChange::Added(after.clone()));
            }
            Some(after) if after != before => {
                changes.push(DeviceChange::Changed { was: before.clone(), now: after.clone() });
            }
            Some(_) => {}
        }
    }
    let new = now.iter().filter(|(name, _)| !was.contains_key(*name));
    changes.extend(new.map(|(_, disk)| DeviceChange::Added(disk.clone())));
    changes
}

/// Reads every message that waits; tells whether the disks may be others now.
fn drain(socket: &OwnedFd) -> bool {
    let mut concerns = false;
    let mut bytes = [0; UEVENT_LEN_MAX];
    loop {
        match recvfrom(socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((_, len, from)) => {
                let sender = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                // Only the kernel's own word counts; its address is 0.
                if sender.is_some_and(|sender| sender.pid() == 0) {
                    concerns |= is_of_disks(&bytes[..len.min(UEVENT_LEN_MAX)]);
                }
            }
            Err(Errno::AGAIN) => return concerns,
            Err(Errno::INTR) => {}
            // Messages were lost: look.
            Err(Errno::NOBUFS) => concerns = true,
            Err(error) => {
                tracing::warn!(%error, "a device event can't be read");
                return true;
            }
        }
    }
}

fn is_of_disks(message: &[u8]) -> bool {
    match decode_uevent(message) {
        Ok(event) => {
            let concerns = event.concerns_disks();
            if concerns {
                let device = event.device().map(|number| number.to_string()).unwrap_or_default();
                tracing::debug!(action = ?event.action, directory = event.directory, device, "device event");
            }
            concerns
        }
        // What is not understood may concern disks.
        Err(_) => true,
    }
}

fn event_socket() -> Result<OwnedFd, DeviceError> {
    let failed = |step| move |source| DeviceError::Open { path: "netlink:uevent".into(), step, source };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))
        .map_err(failed("making a socket"))?;
    bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP)).map_err(failed("listening to the kernel"))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, medium: u64, len: u64) -> DeviceListing {
        DeviceListing {
            path: format!("/dev/{name}").into(),
            name: name.to_owned(),
            len: ByteLen(len),
            sector: 512,
            model: None,
            identity: None,
            read_only: false,
            removable: false,
            uses: Vec::new(),
            medium,
        }
    }

    fn map(disks: &[DeviceListing]) -> BTreeMap<String, DeviceListing> {
        disks.iter().map(|disk| (disk.name.clone(), disk.clone())).collect()
    }

    #[test]
    fn what_is_different_is_told_once_and_what_is_not_is_not() {
        let (a, b, c) = (disk("a", 1, 512), disk("b", 2, 512), disk("c", 3, 512));
        let (longer, another) = (disk("b", 2, 1024), disk("c", 4, 512));
        let was = map(&[a.clone(), b.clone(), c.clone()]);
        assert_eq!(differences(was.clone(), &was), []);
        let now = map(&[longer.clone(), another.clone(), disk("d", 5, 512)]);
        let expected = [
            DeviceChange::Removed(a),
            DeviceChange::Changed { was: b, now: longer },
            DeviceChange::Removed(c),
            DeviceChange::Added(another),
            DeviceChange::Added(disk("d", 5, 512)),
        ];
        assert_eq!(differences(was, &now), expected);
    }

    #[test]
    fn a_watch_ends_its_wait_in_time_with_events_and_without() {
        for by in [WatchBy::Events, WatchBy::Looks] {
            let mut watch = Watch::open(by);
            let begun = Instant::now();
            let _ = watch.wait(Duration::from_millis(120));
            assert!(begun.elapsed() < Duration::from_secs(2), "{by:?}");
            assert_eq!(watch.hears_events(), by == WatchBy::Events && watch.socket.is_some());
        }
    }
}
