//! The last word: the appliance can't come up, and somebody may stand before its screen.

use std::path::Path;
use std::time::Duration;

/// The partition of STATE.
const STATE: &str = "/dev/disk/by-partlabel/landfall-state";
/// Long enough to be read.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Says on standard output why nothing goes on and what to do, and waits until that can have been read.
pub(crate) fn say() {
    print!("{}", words(Path::new(STATE).exists()));
    std::thread::sleep(READ_WITHIN);
}

fn words(state_is_there: bool) -> String {
    let (why, fix) = if state_is_there {
        (
            "the partition landfall-state of its system disk can't be checked or mounted.",
            "Look at the datastore this disk is on, or bring the machine back to a snapshot.",
        )
    } else {
        (
            "its system disk has no partition landfall-state.",
            "Attach the whole system disk of this appliance; none of its other disks is needed for that.",
        )
    };
    format!(
        "\x1b[0m\x1b[2J\x1b[H\r\nThis appliance can't start: {why}\r\n\r\n{fix}\r\n\
         Nothing was written to the retention volume or to a target disk. If all is lost, they are enough: attach them to a new\r\n\
         appliance, and `landfall retention adopt` goes on from there.\r\n\r\n\
         It tries again in {} seconds.\r\n",
        READ_WITHIN.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_part_of_the_disk_is_missing() {
        assert!(words(false).contains("has no partition landfall-state"));
        assert!(words(true).contains("can't be checked or mounted"));
    }
}
