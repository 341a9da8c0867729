//! Every error code: one table that is the code, the document and `landfall explain`.

use std::fmt;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// 1: it failed.
    Failed,
    /// 2: the command line is wrong.
    Usage,
    /// 3: refused; nothing was changed.
    Refused,
    /// 3: refused, since what was named is not there; nothing was changed.
    Missing,
    /// 4: `landfalld` could not be reached.
    Unreachable,
    /// 5: not authorised.
    NotAuthorised,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// Its number, as in `LF-nnnn`.
    pub number: u16,
    /// How a command ends that meets it.
    pub exit: Exit,
    /// What it is.
    pub title: &'static str,
    /// Why it usually happens.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
}

macro_rules! codes {
    ($($number:literal $name:ident $exit:ident: $title:literal, $cause:literal, $fix:literal;)*) => {
        /// A kind of failure. Numbers are never given to another meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        /// Every code, by number.
        pub const TABLE: &[Entry] = &[$(Entry {
            code: Code::$name, number: $number, exit: Exit::$exit, title: $title, cause: $cause, fix: $fix,
        },)*];
    };
}

codes! {
    1001 NotReachable Unreachable: "landfalld can't be reached",
        "nothing answers on the control socket", "start it with `systemctl start landfalld`, or name its socket with --socket";
    1002 NotAuthorised NotAuthorised: "not authorised",
        "the control socket answers root and its own user only", "run the command as root";
    1003 BadRequest Usage: "the request is not understood",
        "it is not a request of this version", "use a `landfall` of the same version as `landfalld`";
    1004 RequestTooLong Usage: "the request is too long",
        "a request has at most 64 KiB", "ask for less at once";
    1005 TooSlow Failed: "the request did not arrive in time",
        "a request must be complete 30 s after the connection opened", "try again";
    1006 TooManyClients Failed: "too many clients",
        "as many clients as allowed are connected to the control socket", "end some `landfall job watch`, then try again";
    1007 Internal Failed: "landfalld met a mistake of its own",
        "a part of landfalld broke an invariant and gave up", "read `journalctl -u landfalld` and report it";
    1008 Disconnected Unreachable: "the connection to landfalld broke",
        "landfalld ended or was restarted before it answered", "look with `landfall status` what was done, then try again";
    1009 BadReply Failed: "the answer is not understood",
        "landfalld is of another version", "use a `landfall` of the same version as `landfalld`";
    1010 Stopping Unreachable: "landfalld is stopping",
        "it was told to end", "try again when it runs";
    1011 SocketTaken Failed: "the control socket is taken",
        "another landfalld serves it", "stop the other one, or give this one another --socket";
    1012 NotConfirmed Refused: "not confirmed",
        "the name given to confirm is not the machine's name", "type the machine's name, or add --yes";
    1013 BadArgument Usage: "an argument is wrong",
        "it can't be read as what it should be", "see --help";
    1014 OutputFailed Failed: "the output can't be written",
        "standard output is closed or full", "look at where the output goes";
    1020 RouteUnknown Missing: "no such resource",
        "the API has nothing at this path", "see its document at /openapi.json";
    1021 OtherMethod Usage: "this can't be done here",
        "what is at this path is asked for by another method", "see the document at /openapi.json";
    1022 NotJson Usage: "the body is not JSON",
        "the API takes bodies of type application/json only", "send the body as application/json";
    1023 KeyOther Refused: "the idempotency key was used for something else",
        "a key stands for one request", "choose another key for each request";
    1024 KeyBusy Refused: "the request is under way",
        "one with the same idempotency key came before and has not ended", "ask again with the same key in a while";
    1025 DashboardListen Failed: "the dashboard can't be served",
        "the port is taken", "name another one with --port, or 0 for any";
    1026 ManualWrite Failed: "the manual can't be written",
        "the directory is not there, or can't be written to", "name another directory";
    1027 KeyCut Refused: "it is not known what came of the request",
        "one with the same idempotency key was begun, and landfalld ended before it was done", "look what was done, then ask with another key if it is still wanted";
    1028 KeyLong Refused: "the request was done before",
        "its answer was too long to be kept with the idempotency key", "look at what it was about";
    1101 MachineUnknown Missing: "no such machine",
        "it was never added, or was removed", "see `landfall machine list`";
    1102 MachineExists Refused: "the machine exists already",
        "a machine of this name was added before", "choose another name, or look with `landfall machine show NAME`";
    1103 MachineBusy Refused: "the machine is busy",
        "a job for it is under way", "wait for it with `landfall job watch ID`";
    1104 MachinePhase Refused: "the machine is in the wrong phase",
        "this can't be done where the machine is in its life", "see `landfall machine show NAME` for what can be done next";
    1105 DiskCount Refused: "wrong number of disks",
        "a machine has 1 to 256 disks, each named once", "name each target disk once";
    1106 MachineConnected Refused: "the machine's source is connected",
        "a machine whose source is connected can't be removed", "stop its source agent first";
    1107 MachineDamaged Refused: "the machine's journal is damaged",
        "part of its history fails its checksum and is quarantined", "remove the machine, add it again and let its source seed it anew";
    1108 MachineFailed Refused: "the machine is out",
        "one of its devices failed to write or flush", "look at the device and the kernel's log, then restart landfalld";
    1109 WaitHopeless Failed: "there is nothing to wait for",
        "a machine is damaged or out, and stays so until somebody acts", "see `landfall machine show NAME`";
    1110 ReprotectDisks Refused: "the target disks don't fit a reprotect",
        "a committed machine keeps its own disks, and one that is not known needs disks to be named", "name target disks with --disk only for a machine that `landfall machine list` does not show";
    1201 DiskMissing Missing: "no such device",
        "the path names nothing, or the device vanished", "see `landfall disk list`";
    1202 DiskInUse Refused: "the device is in use",
        "it is mounted, or another program holds it", "unmount it, or choose another with `landfall disk list`";
    1203 DiskTaken Refused: "the device belongs to a machine already",
        "it is a target disk, or part of the retention volume", "choose another with `landfall disk list`";
    1204 VolumeFileSystem Refused: "the file system can't hold a retention volume",
        "FAT, FAT32 and exFAT can't keep the history safe", "format it as XFS or ext4";
    1205 DiskIsFile Refused: "it is a regular file",
        "files are target disks only when that is asked for", "add --allow-file if it is meant";
    1206 DiskTooSmall Refused: "the device is too small",
        "a target disk is at least as large as the source's disk", "choose a larger device";
    1207 DiskFailed Failed: "the device failed",
        "a read, write or flush failed; the device is out from then on", "look at the kernel's log, replace the device, then let the source seed it anew";
    1208 DiskKind Refused: "it can't be a target disk",
        "only block devices and regular files, of a multiple of 512 bytes, can", "see `landfall disk list`";
    1209 DiskChanged Failed: "the device is not the one it was",
        "its size or label is not what was recorded", "attach the right device, then restart landfalld";
    1210 VolumeFull Failed: "the retention volume is full",
        "the history takes all its space", "make it larger, or keep less history";
    1211 VolumeFailed Failed: "the retention volume failed",
        "a file on it can't be read or written", "look at the kernel's log and at the volume";
    1220 HistoryPaused Refused: "replication waits for room",
        "the volume is full or the budget is used up, and the policy or a pin lets nothing go", "make the volume larger, unpin points, or change the policy with `landfall policy set`";
    1230 DiskSystem Refused: "it is the system disk",
        "the appliance itself runs from it", "choose another with `landfall disk eligible`";
    1231 DiskMounted Refused: "the device is mounted",
        "a file system on it is in use", "unmount it, if what is on it is not needed";
    1232 DiskSwap Refused: "the device is used for swap",
        "the system swaps to it", "end the swapping to it with `swapoff`";
    1233 DiskHeld Refused: "the device is a part of another one",
        "LVM, a RAID, a mapping or a loop device is made of it", "take it out of that, or choose another";
    1234 DiskReadOnly Refused: "the device is read-only",
        "its switch, its attachment or the kernel forbids writing", "attach it so that it can be written";
    1235 DiskLocked Refused: "another program holds the device",
        "it was opened as the only one", "end that program; `fuser -v DEVICE` names it";
    1236 DiskNoCapacity Refused: "the device has no capacity",
        "its size is 0 bytes: it has no medium, or is broken", "put a medium in, or look at the kernel's log";
    1237 DiskSectors Refused: "the device's sectors can't be used",
        "only sectors of 512 or 4096 bytes can", "choose another with `landfall disk eligible`";
    1238 DiskRemovable Refused: "the device's medium can be taken out",
        "a disk that holds machines or history must stay", "attach a fixed disk";
    1239 DiskNameless Refused: "the device can't be known again",
        "it has neither serial number nor WWID", "give it a serial number where it is attached (`disk.EnableUUID` on ESXi, `serial=` in QEMU)";
    1240 DiskIsRetention Refused: "the device is the retention volume",
        "the history is on it, and nothing else may be", "choose another with `landfall disk eligible`";
    1241 DiskHasData Refused: "there is data on the device",
        "a new retention volume is made on an empty device only", "choose an empty one, or erase this one if nothing on it is needed";
    1242 VolumeMissing Refused: "the directory of the retention volume can't be used",
        "there is no such directory, or it can't be looked at", "mount the retention volume there, or make one with `landfall retention init`";
    1243 VolumeReadOnly Refused: "the retention volume is read-only",
        "it is mounted so, or its file system met an error", "look at the kernel's log, then mount it so that it can be written";
    1244 VolumeOwned Refused: "the retention volume belongs to another node",
        "another appliance served it last", "if that one is gone for good: `landfall retention adopt DIR`";
    1245 VolumeSuperblock Failed: "the superblock of the retention volume can't be used",
        "none of its four copies is whole, or the volume can't be read or written", "look at the kernel's log and at the volume; the history on it is not touched";
    1246 VolumeOccupied Refused: "the directory holds something else",
        "a retention volume is used for nothing else", "give an empty file system of its own";
    1247 VolumeLocked Refused: "the retention volume is in use",
        "a running landfalld has it", "stop that one first";
    1248 VolumeShared Refused: "the directory is no file system of its own",
        "a retention volume on the system's file system would fill that, and fail with it", "mount a file system there, or add --shared where that does not matter";
    1249 VolumeMaking Failed: "the retention volume can't be made",
        "a step failed", "put that right, then run the same command again";
    1301 PointUnknown Missing: "no such recovery point",
        "no recovery point has this sequence", "see `landfall point list MACHINE`";
    1302 PointOutsideWindow Refused: "outside the retention window",
        "the history does not reach there", "see `landfall retention show` for how far it reaches";
    1303 PointInconsistent Refused: "the recovery point is not consistent",
        "the disk was being written while it was scanned", "choose another from `landfall point list MACHINE`, or add --inconsistent";
    1304 PointNone Refused: "there is no recovery point yet",
        "the machine is still being seeded", "wait for its first round; see `landfall machine show NAME`";
    1305 HistoryDamaged Failed: "the history is damaged",
        "a record fails its checksum", "choose a later recovery point";
    1306 RootsDiffer Failed: "the roots differ",
        "the target's disk is not the same as the source's was at that point", "don't use this point; let the source run with --resync";
    1310 PolicyValue Refused: "a value of the policy is out of bounds",
        "it is below the least or above the most that is allowed", "see `landfall policy set --help` for the bounds";
    1311 PolicyExpires Refused: "history would go at once by this policy",
        "it keeps less than there is", "look with --dry-run; agree with --yes";
    1312 PointThinned Refused: "the point was given up",
        "its epoch lost what lies between its start and its end, to make room", "choose another from `landfall point list MACHINE`";
    1313 PinRefused Refused: "the point can't be pinned or unpinned",
        "it is not there or not pinned, expires at once, or there are 64 pins already", "see the pins in `landfall point list MACHINE`";
    1330 PointSpoilt Refused: "the recovery point is spoilt",
        "something that it needs is damaged", "choose one of the points named, or see `landfall point list MACHINE`";
    1401 JobUnknown Missing: "no such job",
        "it never was, or ended long ago", "see `landfall job list`";
    1402 JobFailed Failed: "the job failed",
        "it met an error it could not go past", "see `landfall job show ID`";
    1403 JobEnded Refused: "the job has ended",
        "there is nothing left to end", "see `landfall job show ID`";
    1503 ServerUnknown Refused: "no such server",
        "nobody of this name and role is enrolled, or it has several roles", "see `landfall server list`";
    1504 NotHere Refused: "not on this server",
        "it gives out no certificates, or it is this very server", "ask its configuration server";
    1505 JoinRefused NotAuthorised: "the configuration server did not take the token",
        "it is used, over an hour old, tried with wrong proofs, or of another server", "have another made with `landfall server token`";
    1506 JoinFailed Failed: "joining failed",
        "the configuration server can't be reached, or a file can't be written", "put that right, then run the same command again; the token still counts";
    1507 TokenMalformed Usage: "it is not a join token",
        "it was cut or mistyped, or the file holds something else", "copy the whole line that `landfall server token` has written";
    1520 ManifestNone Missing: "no such manifest",
        "the machine has none of this number, or had no failback yet", "see `landfall manifest list MACHINE`";
    1521 ManifestMalformed Failed: "it is not a manifest as it was written",
        "its bytes were changed, or it is another file", "fetch it again with `landfall manifest show MACHINE --output json`";
    1522 ManifestNotTrusted Failed: "the manifest's signature does not count",
        "it was changed after it was signed, or signed by somebody else", "don't rely on it; fetch it again from the appliance";
    1523 ManifestDiffers Failed: "the roots differ",
        "the disk is not what its source was at that point", "don't use the disk; bring the machine to another point";
    1524 ManifestProvesNothing Failed: "the manifest proves nothing",
        "the root of one side was not given or not computed", "run `landfall failback` to the same point again without --no-proof";
    1525 ManifestDisk Failed: "the disk can't be compared with the manifest",
        "it can't be read, or is smaller than the manifest says", "name the disk with --disk INDEX=PATH";
    1530 AlarmUnknown Missing: "no such alarm",
        "no open alarm has this kind and subject", "see `landfall alarm list`";
    1540 CatalogSafe Refused: "landfalld serves without its catalog",
        "the catalog is damaged, missing, or older than the disks", "see `landfall catalog show`, then `landfall catalog rebuild`";
    1541 CatalogFailed Failed: "the catalog failed",
        "its database can't be read or written", "look at the system volume and the kernel's log";
    1542 CatalogWell Refused: "the catalog is well",
        "only one that can't be relied on is made anew", "see `landfall catalog show`";
    1543 CatalogSource Refused: "the catalog can't be made of that",
        "there is no copy of it on the retention volume, or it is damaged", "make it of what the disks tell: `landfall catalog rebuild --from disks`";
    1544 CatalogAway Failed: "the catalog's cluster does not answer",
        "too few of its etcd servers run, or the network between is cut", "look at it with `etcdctl endpoint health`; what replicates goes on meanwhile, and landfalld uses the cluster again by itself";
    1550 BackupFailed Failed: "no backup was made",
        "a key or the catalog can't be read", "look at the state directory and the kernel's log";
    1551 BackupWrite Failed: "the backup can't be written",
        "the file is there already, or the directory can't be written", "name another file, or make room";
    1552 BackupRefused Refused: "the backup can't be opened",
        "it is something else, was changed or damaged, or the passphrase is another", "try the passphrase again, or take another backup";
    1553 Passphrase Usage: "the passphrase is of no use",
        "it can't be read, is shorter than 8 characters, or was typed differently the second time", "give it again, or in a file with --passphrase-file";
    1554 RestoreOccupied Refused: "there is an appliance already",
        "the state directory holds its authority, keys or catalog", "add --replace to put it aside";
    1555 RestoreRunning Refused: "landfalld is running",
        "it has the state directory", "stop it first";
    1556 RestoreFailed Failed: "the backup was not restored",
        "a file can't be written", "put that right, then run the same command again, with --replace if it says so";
    1560 PendingHeld Refused: "it waits to be confirmed",
        "from elsewhere nothing is destroyed at once", "`landfall approve ID` at the appliance, or wait until its time is over; see `landfall pending list`";
    1561 PendingUnknown Missing: "nothing of this number waits",
        "it never did, or ended long ago", "see `landfall pending list`";
    1562 PendingEnded Refused: "it does not wait any more",
        "it was done, cancelled or begun before", "see `landfall pending list`";
    1563 PendingMost Refused: "too much waits to be confirmed",
        "64 requests from elsewhere wait at the most", "confirm or cancel some of `landfall pending list`";
    1610 ViewUnknown Missing: "no such view",
        "it never was, or was closed", "see `landfall point views`";
    1611 ViewAddress Usage: "the address of a view is not understood",
        "it is neither unix:PATH, with an absolute path, nor HOST:PORT", "write it as unix:/run/view.sock or 0.0.0.0:10809";
    1612 ViewListen Refused: "a view can't be served there",
        "the address is taken, or can't be had", "name another with --listen, or see `landfall point views`";
    1613 ViewsOpen Refused: "views of the machine are open",
        "they show what this would take away", "close them with `landfall point close ID`";
    1614 ViewScratch Refused: "no room for the scratch",
        "what is written to a view is kept on the retention volume until it is closed", "ask for less, or make room";
    1615 ViewsMost Refused: "too many views",
        "as many as can be are open", "close one with `landfall point close ID`";
    1701 GroupUnknown Missing: "no such group",
        "it was never made, or was deleted", "see `landfall group list`";
    1702 GroupExists Refused: "the group exists already",
        "a group of this name was made before", "choose another name, or look with `landfall group show NAME`";
    1703 GroupTaken Refused: "the machine belongs to a group",
        "a machine is in one group at the most", "take it out with `landfall group remove GROUP MACHINE` first";
    1704 GroupMembers Refused: "the members don't make a group",
        "a group has 1 to 64 members, each once", "see `landfall group show GROUP`";
    1705 GroupSpan Usage: "a span of the group is out of bounds",
        "it is below the least or above the most that is allowed", "see `landfall group create --help` for the bounds";
    1706 GroupBusy Refused: "a point of the group is being made",
        "one at a time is made", "try again in a while";
    1707 GroupPointFailed Failed: "there is no such group point",
        "a member could not hold its writes, or could not make its point", "put that right, then `landfall group point GROUP`";
    1708 GroupPointNone Refused: "the members have no such point in common",
        "a group point exists only where every member has it", "see `landfall point list --group GROUP`";
    1720 PlanUnknown Missing: "no such recovery plan",
        "it was never made, or was deleted", "see `landfall plan list`";
    1721 PlanExists Refused: "the recovery plan exists already",
        "a plan of this name was made before", "choose another name, or look with `landfall plan show NAME`";
    1722 PlanSteps Refused: "the steps don't make a recovery plan",
        "a plan has 1 to 64 steps, and no machine twice", "see `landfall plan create --help`";
    1723 PlanRunning Refused: "the recovery plan is being run",
        "one run of a plan is under way at a time", "wait for it, or end it with `landfall plan stop NAME`";
    1724 PlanNotWaiting Refused: "the recovery plan does not wait",
        "it is not being run, or does not wait for a person", "see `landfall plan show NAME`";
    1725 HookMissing Refused: "no such hook",
        "the hook directory of the appliance has no program of this name", "put an executable file into STATE/hooks of landfalld";
    1726 PlanFailed Failed: "the recovery plan failed",
        "one of its steps did", "see `landfall plan show NAME`, put that right, then run it again";
    1801 NotInInventory Refused: "the machine is not in the inventory",
        "its source has joined, and no machine of this name was added", "add it with `landfall machine add NAME --disk PATH`, or revoke the source";
    1802 SourceNotJoined Refused: "the source has not joined",
        "nobody of the machine's name has a certificate as a source", "`landfall server token --role source --name NAME`, then `landfall-source join` in the cloud";
    1803 SourceSilent Refused: "the source is not heard",
        "its machine does not run or hangs, or does not reach this server on 443", "start the machine and its agent, and look at the way there: `landfall server list` says which step fails";
    1804 ClockSkew Refused: "the source's clock is off by more than 15 minutes",
        "points are named by the source's clock", "set the clock of the machine in the cloud, best by NTP";
    1805 VersionSkew Refused: "the source speaks no version that this server speaks",
        "one of the two is too old", "update the older of the two";
    1806 VersionOther Refused: "the source is of another version",
        "one of the two was updated", "update the other one, too";
    1807 GenerationOlder Refused: "an older generation of the source runs",
        "the machine was reprotected since, and what an older generation sends is refused for ever", "end that source, and start the one that is meant";
    1808 CertificateEnds Refused: "the source's certificate ends soon",
        "it renews itself at half its life, and could not", "look why the source does not reach this server on 443";
    1809 WindowShort Refused: "the history does not reach as far back as the policy wants",
        "there is too little room for what changes", "make the retention volume larger, or change the policy";
    1810 DamageKnown Refused: "part of the history or of a target disk is damaged",
        "some points are refused", "see `landfall machine show NAME`; what can be is repaired from the source";
    1811 GroupAlone Refused: "the machine belongs to a consistency group",
        "alone it goes to a point that the others may not have", "`landfall failback --group GROUP` brings all to one point";
    1812 TargetDisk Refused: "a target disk can't be used",
        "it is not there, or can't be read and written", "attach it, and look at the kernel's log";
    1901 NetworkPlan Refused: "the network plan can't work",
        "it contradicts itself, or holds what no network can have", "put right what is named, or begin with what `landfall network show --yaml` writes";
    1902 NetworkTrying Refused: "a network plan is being tried",
        "one at a time is tried", "keep it with `landfall network keep`, or wait until it is rolled back";
    1903 NetworkNothing Refused: "no network plan is being tried",
        "it was kept, or rolled back after 30 s", "see `landfall network show`, and try it again";
    1904 NetworkOldConnection Refused: "the connection proves nothing about the new network",
        "it was opened before the plan was applied", "connect again, and keep it then";
    1905 NetworkFailed Failed: "the network plan was not applied",
        "netplan's generator or networkd refused, or a file can't be written", "read the cause, and `journalctl -u systemd-networkd`";
    1906 NetworkForeign Refused: "the network is not Landfall's here",
        "landfalld was started without --network: the network belongs to the system it runs on", "change it there; on the appliance this is not met";
    1910 ConsoleTerminal Failed: "the console can't be shown",
        "standard input and output are no terminal, or the state directory can't be used", "run it on a terminal, as root";
}

impl Code {
    /// Returns the code's line in the table.
    pub fn entry(self) -> &'static Entry {
        TABLE
            .iter()
            .find(|entry| entry.code == self)
            .expect("the table is made from the same list as the codes")
    }

    /// Finds a code by what a person types: `LF-1204`, `lf1204` or `1204`.
    pub fn find(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.strip_prefix("LF").map_or(upper.as_str(), |rest| rest.trim_start_matches('-'));
        let plain = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u16 = plain.then(|| digits.parse().ok())??;
        TABLE.iter().find(|entry| entry.number == number).map(|entry| entry.code)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LF-{}", self.entry().number)
    }
}

impl Exit {
    /// Returns the process's exit code.
    pub fn number(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused | Self::Missing => 3,
            Self::Unreachable => 4,
            Self::NotAuthorised => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_every_line_reads_as_a_line() {
        assert!(TABLE.windows(2).all(|pair| pair[0].number < pair[1].number), "sorted and given once");
        for entry in TABLE {
            for text in [entry.title, entry.cause, entry.fix] {
                assert!(
                    !text.is_empty() && !text.contains('\n') && !text.ends_with('.'),
                    "{}: {text}",
                    entry.code
                );
            }
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        for text in ["LF-1204", "lf-1204", "LF1204", "1204", " LF-1204 "] {
            assert_eq!(Code::find(text), Some(Code::VolumeFileSystem), "{text}");
        }
        for text in ["", "LF-", "LF-9999", "12040", "+204", "x1204"] {
            assert_eq!(Code::find(text), None, "{text}");
        }
    }
}
