//! A source with a good certificate that breaks a rule: it is told which, it alone is stopped, and nothing wrong is acked.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use control::api::{Machine, Phase};
use landfall_tests::client::{Client, batch, dial_raw, exchange, hash, hello, raw, zstd};
use landfall_tests::disk::Kind;
use landfall_tests::rig::{Bystander, Member, Rig};
use units::{ByteLen, ByteOffset, DiskIndex, Generation, Hash, Sequence};
use wire::{Encoding, Extent, Message, RefusalCode, Seed};

const LEN: u64 = 1 << 20;
const WAIT_MAX: Duration = Duration::from_secs(60);

struct Scene {
    other: Bystander,
    member: Member,
    rig: Rig,
}

impl Scene {
    /// An appliance with a machine that is seeded and a bystander.
    fn set(arguments: &[&str]) -> Result<Self> {
        let rig = Rig::start(arguments)?;
        let other = rig.bystander()?;
        let member = rig.member("hostile", &[LEN], Kind::File)?;
        member.once()?;
        Ok(Self { other, member, rig })
    }

    fn client(&self) -> Result<(Client, Sequence)> {
        let hello = hello("hostile", &[ByteLen(LEN)])?;
        let (client, welcome) = Client::open(&self.rig.appliance.address(), &self.member.identity, hello)?;
        Ok((client, welcome.durable))
    }

    /// Sends one message that must be refused; checks that the target still stands where it stood, and the bystander.
    fn refuses(
        &mut self,
        what: &str,
        code: RefusalCode,
        words: &str,
        make: impl FnOnce(u64) -> (Message, Vec<u8>),
    ) -> Result<()> {
        let (mut client, durable) = self.client().context(what.to_owned())?;
        let (message, payload) = make(durable.0 + 1);
        client.say(&message, &payload)?;
        let (found, told) = client.refusal(durable).context(what.to_owned())?;
        ensure!(found == code && told.contains(words), "{what}: refused as {found:?}: {told}");
        let machine = self.rig.appliance.machine("hostile")?;
        ensure!(machine.durable == durable && machine.phase == Phase::Protected, "{what}: {machine:?}");
        self.other.is_unaffected(&self.rig).context(what.to_owned())
    }

    /// Checks at the end that the machine still works, and is what its source is.
    fn goes_on(&self) -> Result<()> {
        self.member.once().context("the machine's own source goes on")?;
        self.rig.appliance.wait_applied("hostile")?;
        self.member.is_same()
    }
}

fn one(extent: Extent) -> impl FnOnce(u64) -> (Message, Vec<u8>) {
    move |next| (batch(next, &[extent]), vec![1; 4096])
}

#[test]
fn a_batch_that_breaks_a_rule_is_refused_with_the_rule() -> Result<()> {
    let mut scene = Scene::set(&[])?;
    let data = vec![1_u8; 4096];
    let good = || raw(8192, &[1; 4096]);
    scene.refuses("a gap", RefusalCode::Gap, "must come next", |next| {
        (batch(next + 1, &[good()]), data.clone())
    })?;
    scene.refuses("past the end", RefusalCode::BadExtent, "", one(raw(LEN - 4096 + 4096, &data)))?;
    scene.refuses("unaligned", RefusalCode::BadExtent, "", one(raw(512, &data)))?;
    let stranger = Extent { disk: DiskIndex(1), ..good() };
    scene.refuses("another disk", RefusalCode::BadExtent, "", one(stranger))?;
    let endless = Extent { len: ByteLen(u64::MAX), encoding: Encoding::Zero, ..good() };
    scene.refuses("an endless extent", RefusalCode::BadExtent, "", |next| {
        (batch(next, &[endless]), Vec::new())
    })?;
    scene.refuses("overlapping", RefusalCode::BadExtent, "", |next| {
        (batch(next, &[raw(0, &[1; 8192]), raw(4096, &[1; 4096])]), vec![1; 12_288])
    })?;
    let wrong = Extent { encoding: Encoding::Raw { hash: Hash([7; 32]) }, ..good() };
    scene.refuses("a wrong hash", RefusalCode::WrongHash, "", one(wrong))?;
    scene.refuses("a short payload", RefusalCode::BadPayload, "", |next| {
        (batch(next, &[good()]), vec![1; 512])
    })?;
    scene.refuses("no extents", RefusalCode::BadExtent, "", |next| (batch(next, &[]), Vec::new()))?;
    scene.refuses("the target's own words", RefusalCode::Unexpected, "target's to send", |next| {
        (Message::Durable(wire::Durable { upto: Sequence(next + 100) }), Vec::new())
    })?;
    scene.refuses("a seed after the seed", RefusalCode::Unexpected, "seeded already", |_| {
        let extents = std::iter::once(good()).collect();
        (Message::Seed(Box::new(Seed { extents })), data.clone())
    })?;
    scene.goes_on()
}

#[test]
fn a_decompression_bomb_is_refused_before_it_is_acked() -> Result<()> {
    let mut scene = Scene::set(&[])?;
    let bomb = ::zstd::bulk::compress(&vec![0; 64 << 20], 1)?;
    let small = ::zstd::bulk::compress(&[5; 65_536], 1)?;
    ensure!(bomb.len() < 65_536, "the bomb fits a payload");
    let send = |len: u64, payload: Vec<u8>| move |next| (batch(next, &[zstd(0, len, &payload)]), payload);
    scene.refuses("a bomb", RefusalCode::BadPayload, "67108864", send(65_536, bomb))?;
    scene.refuses("too much", RefusalCode::BadPayload, "65536", send(4096, small.clone()))?;
    scene.refuses(
        "cut short",
        RefusalCode::BadPayload,
        "",
        send(65_536, small[..small.len() - 1].to_vec()),
    )?;
    scene.refuses("two frames", RefusalCode::BadPayload, "", send(65_536, [&small[..], &small].concat()))?;
    scene.refuses("no frame", RefusalCode::BadPayload, "does not say", send(65_536, vec![9; 100]))?;
    scene.goes_on()
}

#[test]
fn a_payload_that_lies_about_itself_puts_its_own_machine_out_and_no_other() -> Result<()> {
    let mut scene = Scene::set(&[])?;
    // A frame of 65,536 bytes in one compressed block of 100 bytes, as its headers say; the block is rubbish.
    let mut lie = vec![0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x00, 0xff, 0x25, 0x03, 0x00];
    lie.extend([0xff; 100]);
    let (mut client, durable) = scene.client()?;
    client.say(&batch(durable.0 + 1, &[zstd(0, 65_536, &lie)]), &lie)?;
    let (code, words) = client.refusal(Sequence(durable.0 + 1))?;
    ensure!(code == RefusalCode::Damaged && words.contains("payload"), "{code:?}: {words}");
    let machine = scene.rig.appliance.machine("hostile")?;
    ensure!(machine.phase == Phase::Damaged, "{machine:?}");
    scene.other.is_unaffected(&scene.rig)?;
    scene.rig.appliance.kill()?;
    scene.rig.appliance.start()?;
    let stays_out = |machine: &Machine| machine.phase == Phase::Damaged;
    scene.rig.appliance.wait_until("hostile", WAIT_MAX, stays_out).context("it stays out after a restart")?;
    let (exit, words) = scene.member.once_refused()?;
    ensure!(exit == 3 && words.contains("Damaged"), "{exit}: {words}");
    Ok(())
}

#[test]
fn duplicates_change_nothing_and_more_than_the_credit_is_refused() -> Result<()> {
    let mut scene = Scene::set(&["--window", "256KiB"])?;
    let (mut client, durable) = scene.client()?;
    let (one, other) = (vec![1_u8; 4096], vec![2_u8; 4096]);
    client.say(&batch(durable.0 + 1, &[raw(0, &one)]), &one)?;
    client.wait_durable(durable.next())?;
    client.say(&batch(durable.0 + 1, &[raw(0, &other)]), &other)?;
    client.say(&batch(durable.0 + 2, &[raw(4096, &one)]), &one)?;
    client.wait_durable(Sequence(durable.0 + 2))?;
    scene.rig.appliance.wait_applied("hostile")?;
    let found = std::fs::read(scene.member.targets[0].path())?;
    ensure!(found[..8192] == [1; 8192], "the duplicate's other content was dropped");

    let full = vec![3_u8; 65_536];
    let hashes = hash(&full);
    let extent = |at: u64| {
        let (start, len) = (ByteOffset(at * 65_536), ByteLen(65_536));
        Extent { disk: DiskIndex(0), start, len, encoding: Encoding::Raw { hash: hashes } }
    };
    // The window is 256 KiB: 512 KiB in one frame are more than was ever credited.
    let extents: Vec<_> = (0..8).map(extent).collect();
    let payload = full.repeat(8);
    client.say(&batch(durable.0 + 3, &extents), &payload)?;
    let (code, words) = client.refusal(Sequence(durable.0 + 2))?;
    ensure!(code == RefusalCode::OverCredit && words.contains("credited"), "{code:?}: {words}");
    scene.other.is_unaffected(&scene.rig)?;
    // Its own source does not know of the two batches: it finds them, and puts right what they wrote.
    scene.goes_on()
}

#[test]
fn frames_that_are_none_are_refused_as_malformed() -> Result<()> {
    let mut scene = Scene::set(&[])?;
    let mut frame = Vec::new();
    wire::encode(&Message::Hello(Box::new(hello("hostile", &[ByteLen(LEN)])?)), 0, &mut frame);
    let patch = |at: usize, bytes: &[u8]| {
        let mut frame = frame.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        let mut header = frame[..wire::HEADER_LEN - 4].to_vec();
        header.extend_from_slice(&[0; 4]);
        let sums = [crc32c::crc32c(&header), crc32c::crc32c(&header[..wire::HEADER_LEN - 4])];
        sums.map(|sum| {
            let mut frame = frame.clone();
            frame[wire::HEADER_LEN - 4..wire::HEADER_LEN].copy_from_slice(&sum.to_le_bytes());
            frame
        })
    };
    let mut cases = vec![("no magic", vec![b'x'; 4096]), ("noise", vec![0xff; 70_000])];
    cases.extend(patch(16, &u32::MAX.to_le_bytes()).map(|bytes| ("an oversized body", bytes)));
    cases.extend(patch(20, &u32::MAX.to_le_bytes()).map(|bytes| ("an oversized payload", bytes)));
    cases.extend(patch(4, &9_u16.to_le_bytes()).map(|bytes| ("another version", bytes)));
    for (what, bytes) in cases {
        let mut stream = dial_raw(&scene.rig.appliance.address(), &scene.member.identity)?;
        let begin = Instant::now();
        let heard = exchange(&mut stream, &bytes).context(what)?;
        ensure!(begin.elapsed() < Duration::from_secs(8), "{what}: it took {:?}", begin.elapsed());
        let header = wire::decode_header::<Message>(&heard[..wire::HEADER_LEN.min(heard.len())]);
        let header = header.with_context(|| format!("{what}: {} bytes were heard", heard.len()))?;
        let message = wire::decode_message::<Message>(&heard[wire::HEADER_LEN..][..header.body_len])?;
        let Message::Refused(refused) = message else { anyhow::bail!("{what}: {message:?}") };
        ensure!(refused.code == RefusalCode::Malformed, "{what}: {refused:?}");
    }
    scene.other.is_unaffected(&scene.rig)?;

    // Cut anywhere: nothing comes of it.
    for len in [1, 31, 32, 40, frame.len() - 1] {
        let mut stream = dial_raw(&scene.rig.appliance.address(), &scene.member.identity)?;
        stream.write_all(&frame[..len])?;
        stream.flush()?;
        stream.sock.shutdown(std::net::Shutdown::Both)?;
    }
    scene.other.is_unaffected(&scene.rig)?;
    scene.goes_on()
}

#[test]
fn an_older_generation_and_a_lost_history_are_refused_before_anything_is_taken() -> Result<()> {
    let mut scene = Scene::set(&[])?;
    let present = scene.rig.appliance.machine("hostile")?;
    let try_with = |change: &dyn Fn(&mut wire::Hello)| -> Result<(RefusalCode, String)> {
        let mut hello = hello("hostile", &[ByteLen(LEN)])?;
        change(&mut hello);
        let mut client = Client::dial(&scene.rig.appliance.address(), &scene.member.identity)?;
        client.say(&Message::Hello(Box::new(hello)), &[])?;
        client.refusal(Sequence(0))
    };
    let older = Generation(present.generation.0 - 1);
    let (code, words) = try_with(&|hello| hello.generation = older)?;
    ensure!(code == RefusalCode::Fenced && words.contains("may not write"), "{code:?}: {words}");
    let (code, words) = try_with(&|hello| hello.acked = present.durable.next())?;
    ensure!(code == RefusalCode::LostHistory && words.contains("--resync"), "{code:?}: {words}");
    let (code, words) = try_with(&|hello| hello.disks[0].len = ByteLen(LEN / 2))?;
    ensure!(code == RefusalCode::DiskMismatch && words.contains("protected with"), "{code:?}: {words}");
    let (code, words) = try_with(&|hello| hello.disks[0].len = ByteLen(2 * LEN))?;
    ensure!(code == RefusalCode::DiskMismatch && words.contains("target disk"), "{code:?}: {words}");
    let (code, words) = try_with(&|hello| hello.machine = "bystander".parse().expect("a name"))?;
    ensure!(code == RefusalCode::NotAuthorised && words.contains("can't speak for"), "{code:?}: {words}");
    scene.other.is_unaffected(&scene.rig)?;
    scene.goes_on()
}

#[test]
fn a_seed_that_breaks_a_rule_leaves_the_machine_to_be_seeded_by_a_better_source() -> Result<()> {
    let rig = Rig::start(&[])?;
    let mut other = rig.bystander()?;
    let member = rig.member("hostile", &[LEN], Kind::File)?;
    let bomb = ::zstd::bulk::compress(&vec![0; 1 << 20], 1)?;
    let good = vec![1_u8; 4096];
    let cases = [
        ("a bomb", zstd(0, 65_536, &bomb), &bomb, RefusalCode::BadPayload),
        ("past the end", raw(LEN, &good), &good, RefusalCode::BadExtent),
        ("unaligned", raw(1024, &good), &good, RefusalCode::BadExtent),
        ("a wrong hash", raw(0, &[2; 4096]), &good, RefusalCode::WrongHash),
    ];
    for (what, extent, payload, code) in cases {
        let hello = hello("hostile", &[ByteLen(LEN)])?;
        let (mut client, _) = Client::open(&rig.appliance.address(), &member.identity, hello)?;
        let extents = std::iter::once(extent).collect();
        client.say(&Message::Seed(Box::new(Seed { extents })), payload)?;
        let (found, told) = client.refusal(Sequence(0)).context(what)?;
        ensure!(found == code, "{what}: refused as {found:?}: {told}");
        let machine = rig.appliance.machine("hostile")?;
        ensure!(machine.phase == Phase::Seeding && machine.problem.is_none(), "{what}: {machine:?}");
    }
    ensure!(std::fs::read(member.targets[0].path())?.iter().all(|byte| *byte == 0), "nothing was written");
    other.is_unaffected(&rig)?;
    member.once()?;
    rig.appliance.wait_applied("hostile")?;
    member.is_same()
}
