//! Filling blank disks, through crashes, until the stream begins.

use retention::Lifecycle;
use target::replica::{SeedWork, Work};
use units::{ByteLen, ByteOffset, DiskIndex, GRANULE_LEN};

use super::ops::Op;
use super::oracle::Stance;
use super::rig::{Crashed, Rig};

pub(crate) fn begin(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    let lens: Vec<_> = rig.shape.machines[machine].iter().map(|len| ByteLen(*len)).collect();
    let stance = rig.oracles[machine].stance;
    if stance == Stance::Registered {
        rig.oracles[machine].wanted = Some(Stance::Seeding);
    }
    let answer = rig.ask(machine, |then| Work::Begin { lens, then })?;
    if stance == Stance::Registered && matches!(answer, Some(Ok(()))) {
        rig.oracles[machine].confirm();
    }
    Ok(())
}

pub(crate) fn seed(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    if rig.oracles[machine].stance != Stance::Seeding {
        return Ok(());
    }
    let disks = rig.shape.machines[machine].len() as u64;
    let disk = rig.material.random.below(disks) as usize;
    seed_disk(rig, machine, disk)
}

fn seed_disk(rig: &mut Rig, machine: usize, disk: usize) -> Result<(), Crashed> {
    let len = rig.shape.machines[machine][disk];
    let from = rig.oracles[machine].through[disk];
    if from >= len {
        return Ok(());
    }
    let (extents, payload) = rig.material.seed(disk, &mut rig.oracles[machine].seeded[disk], from, len);
    rig.ask(machine, |then| Work::Seed(SeedWork { extents, payload, then }))?;
    Ok(())
}

pub(crate) fn seed_sync(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    if rig.oracles[machine].stance != Stance::Seeding {
        return Ok(());
    }
    for disk in 0..rig.shape.machines[machine].len() {
        // Some of what is left: the rest is seeded again.
        let len = rig.shape.machines[machine][disk];
        seed_disk(rig, machine, disk)?;
        let granules = len / GRANULE_LEN;
        let through = rig.material.random.between(granules / 2, granules) * GRANULE_LEN;
        let through = through.max(rig.oracles[machine].through[disk]);
        let (disk, mark) = (DiskIndex(disk as u16), ByteOffset(through));
        let answer = rig.ask(machine, |then| Work::SeedSync { disk, through: mark, then })?;
        if matches!(answer, Some(Ok(()))) {
            rig.oracles[machine].through[usize::from(disk.0)] = through;
        }
    }
    Ok(())
}

pub(crate) fn end_seeding(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    if rig.oracles[machine].stance != Stance::Seeding {
        return Ok(());
    }
    for disk in 0..rig.shape.machines[machine].len() {
        seed_disk(rig, machine, disk)?;
    }
    rig.oracles[machine].wanted = Some(Stance::Following);
    let answer = rig.ask(machine, |then| Work::EndSeeding { then })?;
    if matches!(answer, Some(Ok(()))) {
        rig.oracles[machine].confirm();
        let seeded = rig.oracles[machine].seeded.clone();
        rig.oracles[machine].images.push(seeded.into());
        assert_eq!(
            rig.lifecycle(machine),
            Lifecycle::Protected,
            "a seed that ended is followed by the stream"
        );
    }
    Ok(())
}

/// Makes a machine that follows its source, with nothing sent.
pub(crate) fn protect(rig: &mut Rig, machine: usize) -> Result<(), Crashed> {
    for op in [Op::Begin, Op::Seed, Op::SeedSync, Op::EndSeeding] {
        op.perform(rig, machine)?;
    }
    Ok(())
}
