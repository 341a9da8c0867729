//! What a source does in an open session: adopt, seed, make a round, make a recovery point, rest.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use blockdev::PageBuf;
use source::SourceError;
use source::parts::{
    AwaitedGranules, ChangedAnswer, Chunk, Heard, LeafContent, Packer, Parcel, PointWords, SeedPlan, Sweep,
};
use units::{ByteOffset, DiskIndex, LEAF_LEN, LeafIndex};
use wire::{Consistency, GranuleQuery, Message, Seed, SeedSync};

use super::line::End;
use super::source::{Around, Session, Source};
use crate::sim::material::{apply_extents, roots_of};
use crate::sim::oracle::Stance;
use crate::sim::seen::Sight;

/// Leaves read at once.
const CHUNK_LEN: u64 = 2 * LEAF_LEN;

/// What is being done.
pub(crate) enum Task {
    Greeting,
    /// The target was asked what changed.
    Asking,
    Adopting(ChangedAnswer),
    /// Everything that the target says right after its welcome is heard first.
    HearingOut(Option<SeedPlan>),
    Seeding(Box<Seeding>),
    Scanning(Box<Scan>),
    /// A recovery point is on its way.
    Pointing,
    Resting {
        until: Duration,
    },
}

/// Where a seed stands.
pub(crate) struct Seeding {
    plan: SeedPlan,
    pass: Pass,
    packer: Packer,
    full: VecDeque<Parcel>,
    syncing: Option<Syncing>,
}

/// A watermark on its way: first every other connection is asked, then the first one.
struct Syncing {
    disk: usize,
    through: ByteOffset,
    others: Vec<u64>,
    last: Option<u64>,
}

/// Where a round stands: what it asks and sends is the product's own.
pub(crate) struct Scan {
    sweep: Sweep,
    pass: Pass,
    /// Read, and not looked at yet.
    chunk: Option<Chunk>,
    /// How much of it is done.
    stage: Stage,
    /// Writes of the machine when the round began.
    before: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A resync is announced before anything else.
    Announcing,
    Reading,
    /// Everything was read: answers are waited for.
    Asking,
    Over,
}

/// A way over all disks.
#[derive(Default)]
struct Pass {
    disk: usize,
    at: u64,
}

impl Pass {
    /// Reads on; `None` at the end of the last disk.
    fn read(&mut self, disks: &[Vec<u8>]) -> Option<Chunk> {
        let content = disks.get(self.disk)?;
        let len = content.len() as u64;
        if self.at >= len {
            (self.disk, self.at) = (self.disk + 1, 0);
            return self.read(disks);
        }
        let end = len.min(self.at + CHUNK_LEN);
        let page = PageBuf::copy_of(&content[self.at as usize..end as usize]);
        let chunk = Chunk { disk: DiskIndex(self.disk as u16), start: ByteOffset(self.at), page };
        self.at = end;
        Some(chunk)
    }
}

/// Returns where to begin on a disk: with the leaf of its watermark, unless it is seeded to its end.
fn begin_on(plan: &SeedPlan, disks: &[Vec<u8>], disk: usize) -> u64 {
    let Some((from, content)) = plan.from.get(disk).zip(disks.get(disk)) else { return 0 };
    if from.0 >= content.len() as u64 { from.0 } else { from.leaf().offset().0 }
}

impl Task {
    pub(crate) fn seed(plan: SeedPlan, packer: Packer, disks: &[Vec<u8>]) -> Self {
        let pass = Pass { disk: 0, at: begin_on(&plan, disks, 0) };
        Self::Seeding(Box::new(Seeding { plan, pass, packer, full: VecDeque::new(), syncing: None }))
    }
}

impl Source {
    /// Says what is being done, for people.
    pub(crate) fn at_work(&self) -> &'static str {
        match self.session.as_ref().map(|session| &session.task) {
            None => "calls again soon",
            Some(Task::Greeting) => "waits for a welcome",
            Some(Task::Asking | Task::Adopting(_)) => "waits for what changed",
            Some(Task::HearingOut(_)) => "hears the target out",
            Some(Task::Seeding(_)) => "seeds",
            Some(Task::Scanning(_)) => "scans",
            Some(Task::Pointing) => "waits for the ack of a recovery point",
            Some(Task::Resting { .. }) => "rests",
        }
    }

    /// Does the next thing there is to do. Errors: the session failed.
    pub(crate) fn work(&mut self, around: &mut Around<'_>) -> Result<(), SourceError> {
        let session = self.session.as_mut().expect("there is a session");
        if session.exchange.is_none() {
            return Ok(());
        }
        let durable = session.heard(|heard| Some(heard.durable))?;
        let task = std::mem::replace(&mut session.task, Task::Greeting);
        let next = match task {
            Task::Asking => match self.heard(Heard::changed_answer)? {
                Some(answer) => Task::Adopting(answer),
                None => Task::Asking,
            },
            Task::Adopting(answer) => {
                self.adopt(&answer, around);
                return Ok(());
            }
            Task::HearingOut(plan) => match (self.heard(|heard| heard.ponged.then_some(()))?, plan) {
                (None, plan) => Task::HearingOut(plan),
                (Some(()), Some(plan)) => self.begin_seed(plan, around),
                (Some(()), None) => self.begin_scan(around)?,
            },
            Task::Seeding(seeding) => self.seeding(seeding, around)?,
            Task::Scanning(scan) => {
                self.stream.settle(durable.expect("what was heard is there"));
                self.scanning(scan, around)?
            }
            Task::Pointing => {
                self.stream.settle(durable.expect("what was heard is there"));
                self.pointing(around)
            }
            Task::Resting { until } => {
                let is_asked = self.heard(|heard| Some(!heard.resends.is_empty()))? == Some(true);
                match around.elapsed >= until || is_asked {
                    true => self.begin_scan(around)?,
                    false => Task::Resting { until },
                }
            }
            Task::Greeting => Task::Greeting,
        };
        self.session.as_mut().expect("there is a session").task = next;
        Ok(())
    }

    fn heard<T>(&self, ready: impl FnMut(&mut Heard) -> Option<T>) -> Result<Option<T>, SourceError> {
        self.session.as_ref().expect("there is a session").heard(ready)
    }

    /// Takes what the target wants to have again, and begins a round.
    fn begin_scan(&mut self, around: &mut Around<'_>) -> Result<Task, SourceError> {
        let resends = self.heard(|heard| Some(std::mem::take(&mut heard.resends)))?.unwrap_or_default();
        if !resends.is_empty() {
            let taken = self.stream.take_resends(&resends);
            self.save();
            around.sights.add(Sight::AskedToSendAgain);
            around.tell(|| format!("source {}: sends again {resends:?}", self.machine));
            taken.into_iter().for_each(|taken| self.put(Some(0), Message::ResendTaken(taken)));
        }
        let begins = Sweep::begins_resync(&self.stream);
        let (pass, before) = (Pass::default(), around.guest.writes);
        let payload_max = self.session.as_ref().map_or(0, Session::payload_max);
        let sweep = Sweep::new(&self.stream, payload_max, &super::buffers());
        let stage = if begins { Stage::Announcing } else { Stage::Reading };
        Ok(Task::Scanning(Box::new(Scan { sweep, pass, chunk: None, stage, before })))
    }

    fn put(&self, lane: Option<usize>, message: Message) {
        self.session.as_ref().expect("there is a session").put(lane, message, None);
    }

    fn scanning(&mut self, mut scan: Box<Scan>, around: &mut Around<'_>) -> Result<Task, SourceError> {
        let session = self.session.as_ref().expect("there is a session");
        if !session.has_room() || self.stream.is_full() {
            return Ok(Task::Scanning(scan));
        }
        if scan.stage == Stage::Announcing {
            self.send_resync(around);
            scan.stage = Stage::Reading;
        } else if let Some(parcel) = scan.sweep.parcel() {
            self.send_batch(parcel, around);
        } else if scan.stage == Stage::Over {
            return Ok(self.send_point(scan.before, around));
        } else if let Some(query) = scan.sweep.question(&self.stream) {
            let lane = around.random.below(u64::from(session.lanes)) as usize;
            around.sights.add(Sight::ComparedByHashes);
            self.put(Some(lane), Message::HashQuery(query));
        } else {
            self.sweep(&mut scan, around)?;
        }
        Ok(Task::Scanning(scan))
    }

    /// Reads on, looks at what was read, or takes an answer.
    fn sweep(&mut self, scan: &mut Scan, around: &mut Around<'_>) -> Result<(), SourceError> {
        if scan.stage == Stage::Reading && scan.chunk.is_none() {
            scan.chunk = scan.pass.read(&around.guest.disks);
            if scan.chunk.is_none() {
                scan.stage = Stage::Asking;
                scan.sweep.ask_rest().into_iter().for_each(|question| self.ask_granules(question, around));
            }
            return Ok(());
        }
        if let Some(query) = scan.chunk.as_ref().and_then(|chunk| scan.sweep.awaits(chunk)) {
            if let Some(hashes) = self.heard(|heard| heard.hashes_of(query.disk, query.first))? {
                scan.sweep.told(&mut self.stream, &hashes);
                let lawful = scan.sweep.contradictions() == 0 || around.oracle.is_rotten();
                assert!(lawful, "I2: the target holds other leaves of {query:?} than were acked");
            }
            return Ok(());
        }
        let waits = scan.sweep.awaits_granules();
        if let Some(AwaitedGranules { token, count, is_urgent }) = waits
            && (is_urgent || scan.chunk.is_none() || around.random.one_in(2))
        {
            let answer = self.heard(|heard| {
                let at = heard.granules.iter().position(|(answered, _)| *answered == token)?;
                Some(heard.granules.swap_remove(at).1)
            })?;
            if let Some(hashes) = answer {
                assert_eq!(hashes.len(), count, "I4: an answer about granules is as long as its question");
                scan.sweep.told_granules(&mut self.stream, &hashes, &mut self.compressor);
                around.sights.add(Sight::RefinedByGranules);
            }
            return Ok(());
        }
        match scan.chunk.take() {
            Some(chunk) => {
                let mut contents = self.stream.differing(&chunk);
                let questions = scan.sweep.refine(&chunk, &mut contents);
                questions.into_iter().for_each(|question| self.ask_granules(question, around));
                scan.sweep.pack(chunk, &contents, &mut self.compressor);
            }
            None => {
                scan.sweep.finish();
                scan.stage = Stage::Over;
            }
        }
        Ok(())
    }

    fn ask_granules(&self, question: GranuleQuery, around: &Around<'_>) {
        around.tell(|| format!("source {}: asks about granules of {:?}", self.machine, question.leaves));
        self.put(Some(0), Message::GranuleQuery(Box::new(question)));
    }

    fn send_resync(&mut self, around: &mut Around<'_>) {
        let time = self.now(around.wall);
        let message = self.stream.next_resync(time);
        let Message::Marker(marker) = &message else { unreachable!("a marker was made") };
        around.tell(|| format!("source {}: resync begins at {}", self.machine, marker.sequence));
        around.sights.add(Sight::ResyncBegan);
        if self.can_arrive(around) {
            self.before_item(marker.sequence.0, around);
            let image = around.oracle.newest().clone();
            around.oracle.images.push(image);
            around.oracle.markers.push((marker.sequence.0, marker.consistency));
        }
        self.put(None, message);
    }

    fn send_batch(&mut self, parcel: Parcel, around: &mut Around<'_>) {
        let time = self.now(around.wall);
        let message = self.stream.next_batch(&parcel, time);
        let Message::Batch(batch) = &message else { unreachable!("a batch was made") };
        around.tell(|| format!("source {}: batch {} {:?}", self.machine, batch.sequence, parcel.runs()));
        if self.can_arrive(around) {
            self.before_item(batch.sequence.0, around);
            let mut image = (**around.oracle.newest()).clone();
            apply_extents(&batch.extents, &parcel.payload().concat(), &mut image);
            around.oracle.images.push(Rc::new(image));
        }
        self.session.as_ref().expect("there is a session").put(None, message, Some(parcel));
    }

    /// Tells whether the target still listens to this session; if not, nothing of it counts any more.
    fn can_arrive(&self, around: &mut Around<'_>) -> bool {
        let session = self.session.as_ref().expect("there is a session");
        session.lines.iter().all(|line| !matches!(around.network.line(*line).end, End::Over))
    }

    /// An item is about to be given out: what is durable is never filled anew.
    fn before_item(&self, sequence: u64, around: &mut Around<'_>) {
        let received = around.received.0;
        assert!(sequence > received, "I7: sequence {sequence} is filled anew, {received} was received");
        if around.oracle.images.is_empty() {
            around.oracle.images.push(Rc::new(around.oracle.seeded.clone()));
        }
        if around.oracle.stance == Stance::Seeding {
            around.oracle.wanted = Some(Stance::Following);
        }
        around.oracle.forget_after(sequence - 1);
        assert_eq!(around.oracle.sent(), sequence - 1, "I7: the stream has no gap");
    }

    fn send_point(&mut self, before: u64, around: &mut Around<'_>) -> Task {
        let is_quiet = before == around.guest.writes;
        let consistency = if is_quiet { Consistency::Crash } else { Consistency::Fuzzy };
        let words =
            PointWords { time: self.now(around.wall), consistency, label: Default::default(), group: None };
        let (message, sequence, roots) = self.stream.next_point(words);
        around.tell(|| format!("source {}: point {sequence}", self.machine));
        if self.can_arrive(around) {
            self.before_item(sequence.0, around);
            let image = around.oracle.newest().clone();
            self.table_is(&image);
            assert_eq!(
                roots,
                roots_of(&image),
                "I3: the roots of point {sequence} are not those of its image"
            );
            assert!(
                !is_quiet || *image == around.guest.disks,
                "I3: point {sequence} of machine {} is not the protected disk",
                self.machine
            );
            around.sights.add(if is_quiet { Sight::QuietPoint } else { Sight::FuzzyPoint });
            around.oracle.images.push(image);
            around.oracle.markers.push((sequence.0, consistency));
        }
        self.put(None, message);
        Task::Pointing
    }

    /// Every leaf the source believes the target to hold is there.
    fn table_is(&self, image: &[Vec<u8>]) {
        for (disk, (leaves, content)) in self.stream.table().disks().iter().zip(image).enumerate() {
            for (leaf, bytes) in (0..).zip(content.chunks(LEAF_LEN as usize)) {
                let known = leaves.get(LeafIndex(leaf));
                let is_so = known.is_none_or(|known| known == blake3::hash(bytes).into());
                assert!(is_so, "I3: machine {} believes in another leaf {leaf} of disk {disk}", self.machine);
            }
        }
    }

    fn pointing(&mut self, around: &mut Around<'_>) -> Task {
        if !self.stream.is_settled() {
            return Task::Pointing;
        }
        self.points += 1;
        self.save();
        Task::Resting { until: around.elapsed + Duration::from_millis(around.random.below(2000)) }
    }

    fn seeding(&mut self, mut seeding: Box<Seeding>, around: &mut Around<'_>) -> Result<Task, SourceError> {
        if let Some(syncing) = seeding.syncing.take() {
            seeding.syncing = self.sync(syncing, around)?;
            return Ok(Task::Seeding(seeding));
        }
        if !self.session.as_ref().is_some_and(Session::has_room) {
            return Ok(Task::Seeding(seeding));
        }
        if let Some(parcel) = seeding.full.pop_front() {
            self.send_seed(parcel, around);
            return Ok(Task::Seeding(seeding));
        }
        let Some(len) = around.guest.disks.get(seeding.pass.disk).map(|disk| disk.len() as u64) else {
            self.save();
            return self.begin_scan(around);
        };
        let at_end = seeding.pass.at >= len;
        let (disk, held) = (seeding.pass.disk, self.watermarks[seeding.pass.disk]);
        if (at_end || around.random.one_in(3)) && held.0 < seeding.pass.at {
            match seeding.packer.finish() {
                Some(parcel) => seeding.full.push_back(parcel),
                None => seeding.syncing = Some(self.begin_sync(disk, ByteOffset(seeding.pass.at))),
            }
        } else if at_end {
            seeding.pass.disk += 1;
            seeding.pass.at = begin_on(&seeding.plan, &around.guest.disks, disk + 1);
        } else if let Some(chunk) = seeding.pass.read(&around.guest.disks) {
            self.seed_chunk(&mut seeding, chunk);
        }
        Ok(Task::Seeding(seeding))
    }

    fn seed_chunk(&mut self, seeding: &mut Seeding, chunk: Chunk) {
        let mut contents = self.stream.differing(&chunk);
        for ((leaf, _), content) in chunk.leaves().zip(&mut contents) {
            if seeding.plan.zeroes_skipped && *content == Some(LeafContent::Zero) {
                self.stream.zero_left_out(chunk.disk, leaf);
                *content = None;
            }
        }
        if contents.iter().any(Option::is_some) {
            let mut full = Vec::new();
            seeding.packer.pack(chunk, &contents, &mut self.compressor, &mut full);
            seeding.full.extend(full);
        }
    }

    fn send_seed(&mut self, parcel: Parcel, around: &mut Around<'_>) {
        around.tell(|| format!("source {}: seed {:?}", self.machine, parcel.runs()));
        self.stream.seeded(&parcel);
        if self.can_arrive(around) {
            apply_extents(&parcel.extents, &parcel.payload().concat(), &mut around.oracle.seeded);
        }
        let extents = parcel.extents.iter().cloned().collect();
        let message = Message::Seed(Box::new(Seed { extents }));
        self.session.as_ref().expect("there is a session").put(None, message, Some(parcel));
    }

    fn begin_sync(&mut self, disk: usize, through: ByteOffset) -> Syncing {
        let lanes = usize::from(self.session.as_ref().map_or(1, |session| session.lanes));
        let held = self.watermarks[disk];
        let others = (1..lanes).map(|lane| self.ask_sync(lane, disk, held)).collect();
        Syncing { disk, through, others, last: None }
    }

    fn ask_sync(&mut self, lane: usize, disk: usize, through: ByteOffset) -> u64 {
        self.token += 1;
        let sync = SeedSync { token: self.token, disk: DiskIndex(disk as u16), through };
        self.session.as_ref().expect("there is a session").put(Some(lane), Message::SeedSync(sync), None);
        self.token
    }

    fn sync(
        &mut self,
        mut syncing: Syncing,
        around: &mut Around<'_>,
    ) -> Result<Option<Syncing>, SourceError> {
        let answered = self.heard(|heard| Some(std::mem::take(&mut heard.seed_durable)))?.unwrap_or_default();
        syncing.others.retain(|token| !answered.contains(token));
        if !syncing.others.is_empty() {
            return Ok(Some(syncing));
        }
        match syncing.last {
            None => {
                syncing.last = Some(self.ask_sync(0, syncing.disk, syncing.through));
                Ok(Some(syncing))
            }
            Some(token) if answered.contains(&token) => {
                self.watermarks[syncing.disk] = syncing.through;
                around.oracle.through[syncing.disk] = syncing.through.0;
                self.save();
                Ok(None)
            }
            Some(_) => Ok(Some(syncing)),
        }
    }
}
