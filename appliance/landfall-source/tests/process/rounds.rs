//! The agent as a process against a scripted target: seeds, rounds, kills at any moment, and what is sent meanwhile.

use std::fs;
use std::time::Duration;

use crate::scripted::{Bench, Chance, LEAF};
use wire::Consistency;

const MIB: usize = 1 << 20;

#[test]
fn a_seed_and_a_round_bring_every_disk_home() {
    for connections in ["1", "4"] {
        for compression in ["auto", "none", "fast", "zstd1"] {
            let bench = Bench::new(&[3 * MIB + 512, 2 * MIB, LEAF - 512], 7);
            bench.once(&["--connections", connections, "--compression", compression]).expect_done();
            bench.assert_identical();
            assert!(!bench.server.store().seeding());
        }
    }
}

#[test]
fn a_quiet_round_sends_nothing_and_a_change_sends_its_leaves() {
    let bench = Bench::new(&[4 * MIB], 3);
    bench.once(&[]).expect_done();
    let quiet = bench.once(&[]).expect_done();
    assert_eq!((quiet.number("bytes_read"), quiet.number("bytes_changed")), (4 * MIB as u64, 0));
    let mut bytes = fs::read(&bench.disks[0]).expect("a disk");
    bytes[5 * LEAF + 100] ^= 1;
    bytes[9 * LEAF] ^= 1;
    fs::write(&bench.disks[0], bytes).expect("written");
    let round = bench.once(&[]).expect_done();
    assert_eq!(round.number("bytes_changed"), 2 * LEAF as u64);
    assert_eq!(bench.server.store().hashes_asked, 0, "a kept table asks nothing");
    bench.assert_identical();
}

#[test]
fn on_blank_disks_zeroes_are_left_out() {
    let bench = Bench::new(&[4 * MIB], 5);
    let zeroes = fs::read(&bench.disks[0])
        .expect("a disk")
        .chunks(LEAF)
        .filter(|leaf| leaf.iter().all(|byte| *byte == 0))
        .count();
    assert!(zeroes > 4);
    bench.once(&[]).expect_done();
    assert_eq!(bench.server.store().disk_bytes, (4 * MIB - zeroes * LEAF) as u64);
    bench.assert_identical();
}

#[test]
fn zeroes_are_sent_where_a_seed_that_was_cut_may_have_put_data() {
    let bench = Bench::new(&[4 * MIB], 29);
    {
        // The target crashes in the seed and keeps what it got; the agent ends.
        let store = &mut *bench.server.store();
        (store.fuse, store.unsynced_stays) = (Some(4), true);
    }
    bench.once_killed_after_crash();
    assert!(
        bench.server.store().durable_content[0].iter().any(|byte| *byte != 0),
        "data is on the target disk"
    );
    fs::write(&bench.disks[0], vec![0; 4 * MIB]).expect("written");
    bench.once(&[]).expect_done();
    bench.assert_identical();
}

#[test]
fn whatever_is_killed_whenever_the_disks_come_home_identical() {
    for seed in 1..=40 {
        let mut chance = Chance::new(seed);
        let bench = Bench::new(&[2 * MIB, 3 * MIB + 1024, MIB, LEAF, 2 * MIB], seed);
        let connections = (1 + chance.below(4)).to_string();
        let more = ["--connections", &connections];
        for _ in 0..6 {
            bench.server.store().fuse = chance.once_in(2).then(|| 1 + chance.below(30));
            bench.server.store().forgetful = chance.once_in(8);
            bench.once_killed_after(Duration::from_millis(5 + chance.below(120)), &more);
            bench.change(chance.below(12), &mut chance);
            if chance.once_in(6) {
                bench.server.crash();
            }
        }
        bench.server.store().fuse = None;
        bench.once(&more).expect_done();
        println!("seed {seed}");
        bench.assert_identical();
    }
}

#[test]
fn a_target_that_crashes_in_every_round_loses_nothing() {
    for seed in 1..=10 {
        let mut chance = Chance::new(seed);
        let bench = Bench::new(&[3 * MIB, 2 * MIB], seed);
        for fuse in [3, 5, 4, 2, 3] {
            bench.server.store().fuse = Some(fuse);
            bench.once(&["--connections", "2"]).expect_done();
            bench.assert_identical();
            bench.change(40, &mut chance);
        }
        assert!(bench.server.store().crashes >= 4, "seed {seed}: {} crashes", bench.server.store().crashes);
    }
}

#[test]
fn a_lost_or_damaged_table_costs_a_comparison_not_a_copy() {
    for damage in ["lost", "flipped", "cut", "foreign"] {
        let bench = Bench::new(&[8 * MIB], 11);
        bench.once(&[]).expect_done();
        let mut bytes = fs::read(bench.table()).expect("a table");
        match damage {
            "lost" => fs::remove_file(bench.table()).expect("removed"),
            "flipped" => {
                bytes[200] ^= 1;
                fs::write(bench.table(), bytes).expect("written");
            }
            "cut" => fs::write(bench.table(), &bytes[..bytes.len() / 2]).expect("written"),
            _ => {
                bytes.copy_within(16..20, 20);
                fs::write(bench.table(), bytes).expect("written");
            }
        }
        bench.change(1, &mut Chance::new(1));
        let run = bench.once(&[]).expect_done();
        assert_eq!(run.out.contains("\"type\":\"warning\""), damage != "lost", "{damage}: {}", run.out);
        assert!(run.number("bytes_changed") <= LEAF as u64, "{damage}");
        assert_eq!(bench.server.store().hashes_asked, 128, "{damage}");
        bench.assert_identical();
    }
}

#[test]
fn a_leaf_that_changed_back_while_no_table_was_saved_is_sent_again() {
    for forgetful in [false, true] {
        let bench = Bench::new(&[8 * MIB], 23);
        bench.once(&[]).expect_done();
        let (image, table) =
            (fs::read(&bench.disks[0]).expect("a disk"), fs::read(bench.table()).expect("a table"));
        bench.change(8, &mut Chance::new(23));
        bench.once(&[]).expect_done();
        bench.assert_identical();
        // As if the agent had been killed before it saved: the table of the first point, and the disk as it was then.
        fs::write(bench.table(), table).expect("written");
        fs::write(&bench.disks[0], image).expect("written");
        bench.server.store().forgetful = forgetful;
        bench.once(&[]).expect_done();
        bench.assert_identical();
        assert_eq!(bench.server.store().hashes_asked, if forgetful { 128 } else { 0 });
    }
}

#[test]
fn a_resync_compares_everything_and_sends_what_differs() {
    let bench = Bench::new(&[8 * MIB], 13);
    bench.once(&[]).expect_done();
    {
        // Leaves rot at the target, behind everybody's back.
        let store = &mut *bench.server.store();
        for content in [&mut store.content[0], &mut store.durable_content[0]] {
            content[3 * LEAF] ^= 1;
            content[70 * LEAF] ^= 1;
        }
    }
    let run = bench.once(&["--resync"]).expect_done();
    assert_eq!(run.number("bytes_changed"), 2 * 4096, "of each leaf the granule that differs");
    assert_eq!(bench.server.store().granules_asked, 2);
    bench.assert_identical();
}

#[test]
fn another_generation_makes_the_table_worthless() {
    let bench = Bench::new(&[2 * MIB], 17);
    bench.once(&[]).expect_done();
    fs::remove_file(bench.table()).expect("removed");
    {
        let store = &mut *bench.server.store();
        store.generation = units::Generation(4);
        store.content[0][LEAF] ^= 1;
        store.durable_content[0][LEAF] ^= 1;
    }
    let run = bench.once(&[]).expect_done();
    assert_eq!((run.number("bytes_changed"), run.number("generation")), (4096, 4));
    bench.assert_identical();
}

#[test]
fn a_disk_written_while_it_is_scanned_gives_a_fuzzy_point_and_another_round() {
    let bench = Bench::new(&[16 * MIB], 19);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut chance = Chance::new(2);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                bench.change(1, &mut chance);
            }
        });
        bench.once(&[]).expect_done();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let points: Vec<_> = bench.server.store().markers.iter().map(|marker| marker.consistency).collect();
    assert_eq!(points, [Consistency::Fuzzy; 4], "one round and three more, at once");
    bench.once(&["--application-consistent", "--label", "at rest"]).expect_done();
    let last = bench.server.store().markers.last().expect("a point").clone();
    assert_eq!((last.consistency, last.label.as_str()), (Consistency::Application, "at rest"));
    bench.assert_identical();
}
