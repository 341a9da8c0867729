//! Sixteen busy machines in bounded memory, and no machine that starves another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use landfall_tests::client::{Client, batch, hello, raw};
use landfall_tests::disk::Kind;
use landfall_tests::material::Noise;
use landfall_tests::pusher::{Piece, Pusher};
use landfall_tests::rig::{Member, Rig};
use units::{ByteLen, ByteOffset, DiskIndex};
use wire::{Encoding, Extent};

const MIB: u64 = 1 << 20;
const LEAF: u64 = 65_536;

/// Pushes batches of four full leaves all over the disk until told to stop, or `count` of them.
fn flood(rig: &Rig, member: &Member, count: u64, sent: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    let (lens, mut noise) = (member.lens()?, Noise::new(member.name().bytes().map(u64::from).sum()));
    let mut pusher = Pusher::connect(&rig.appliance.address(), &member.identity, member.name(), &lens)?;
    let mut data = vec![0; 4 * LEAF as usize];
    noise.fill(&mut data);
    for _ in 0..count {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let first = noise.below(lens[0].0 / LEAF - 4) * LEAF;
        let piece = |(at, data)| Piece { disk: DiskIndex(0), start: ByteOffset(first + at), data };
        let pieces: Vec<_> =
            (0..).step_by(LEAF as usize).zip(data.chunks(LEAF as usize)).map(piece).collect();
        pusher.send(&pieces)?;
        sent.store(pusher.durable().0, Ordering::Relaxed);
        data[..8].copy_from_slice(&first.to_le_bytes());
    }
    let last = pusher.mark()?;
    pusher.wait_durable(last)?;
    pusher.goodbye()
}

#[test]
fn sixteen_busy_machines_take_at_most_256_mib() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let names: Vec<_> = (1..=16).map(|number| format!("busy-{number}")).collect();
    let members =
        names.iter().map(|name| rig.member(name, &[48 * MIB], Kind::File)).collect::<Result<Vec<_>>>()?;
    let (sent, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let begin = |member| {
            let (rig, sent, stop) = (&rig, &sent, &stop);
            scope.spawn(move || flood(rig, member, 120, sent, stop))
        };
        let floods: Vec<_> = members.iter().map(begin).collect();
        floods.into_iter().try_for_each(|flood| flood.join().expect("a flood does not panic"))
    })?;
    for name in &names {
        let machine = rig.appliance.machine(name)?;
        ensure!(machine.durable.0 == 121 && machine.problem.is_none(), "{machine:?}");
    }
    let peak = rig.appliance.process()?.usage().memory_peak;
    println!("landfalld held at most {peak}");
    ensure!(peak <= ByteLen(256 * MIB), "{peak} is more than 256 MiB");
    rig.appliance.stop()?;
    Ok(())
}

#[test]
fn a_flooding_machine_does_not_starve_another() -> Result<()> {
    let rig = Rig::start(&[])?;
    let greedy = rig.member("greedy", &[64 * MIB], Kind::File)?;
    let mut small = rig.bystander()?;
    let (sent, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&rig, &greedy, u64::MAX, &sent, &stop));
        let mut run = || -> Result<()> {
            for turn in 0..5 {
                let before = sent.load(Ordering::Relaxed);
                small.is_unaffected(&rig).with_context(|| format!("turn {turn}"))?;
                // The flood is not held up for it either.
                while sent.load(Ordering::Relaxed) <= before + 4 {
                    ensure!(!flood.is_finished(), "the flood ended early");
                    thread::yield_now();
                }
            }
            Ok(())
        };
        let ran = run();
        stop.store(true, Ordering::Relaxed);
        let flooded = flood.join().expect("a flood does not panic");
        ran.and(flooded)
    })
}

#[test]
fn batches_without_payload_are_bounded_too() -> Result<()> {
    let mut rig = Rig::start(&[])?;
    let member = rig.member("zeroes", &[64 * MIB], Kind::File)?;
    let mut other = rig.bystander()?;
    let before = rig.appliance.process()?.usage().memory_peak;
    let (mut client, welcome) =
        Client::open(&rig.appliance.address(), &member.identity, hello("zeroes", &member.lens()?)?)?;
    let zero = |at: u64| Extent { encoding: Encoding::Zero, ..raw(at * 8192, &[0; 4096]) };
    let extents: Vec<_> = (0..256).map(zero).collect();
    let (first, count) = (welcome.durable.0 + 1, 6000);
    for sequence in first..first + count {
        client.say(&batch(sequence, &extents), &[])?;
        // What the target says is taken in, so that neither end stalls.
        while client.hear(std::time::Duration::ZERO)?.is_some() {}
    }
    client.wait_durable(units::Sequence(first + count - 1))?;
    let after = rig.appliance.process()?.usage().memory_peak;
    println!("{before} before, {after} after");
    ensure!(after.0 < before.0 + 100 * MIB, "{before} before, {after} after");
    other.is_unaffected(&rig)
}
