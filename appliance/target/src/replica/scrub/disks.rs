//! The target disks of a machine, read against the hashes of the last pass and the roots of the source.

use blockdev::{Engine, Volume};
use retention::{
    Damage, DamagedPlace, GranuleSet, LeafPage, LeafTable, PAGE_LEAVES, Point, spoilt_by_target, spoilt_until,
};
use units::{ByteLen, ByteOffset, DiskIndex, Generation, Hash, LEAF_LEN, LeafIndex, RootHasher, Sequence};
use wire::Span;

use super::super::error::{FailureKind, ReplicaError};
use super::super::shared::chain;
use super::super::view_reader::ViewReader;
use super::super::work::Work;
use super::leaves::{LeafFile, pages};
use super::{Bench, Findings, Mark, Progressed};

/// Leaves read at once.
const READ_LEAVES: u64 = 16;

/// What the disks are read through.
pub(crate) struct DiskPass<E: Engine, V> {
    /// The table of the last pass, and a view of the point it is of.
    pub(crate) then: Option<(LeafTable, ViewReader<E, V>)>,
    /// A view of the newest point.
    pub(crate) now: ViewReader<E, V>,
    /// The newest point.
    pub(crate) point: Point,
    pub(crate) lens: Vec<ByteLen>,
    pub(crate) generation: Generation,
    /// Pages of the new table that an earlier part of this pass has written.
    pub(crate) pages: u64,
}

/// Is told how many pages were read, once they are written.
type PageMark<'m, B> = dyn FnMut(&mut B, &mut Findings, u64) -> Result<(), ReplicaError> + 'm;

/// What is known of one disk while it is read.
struct DiskState {
    disk: DiskIndex,
    len: ByteLen,
    root: RootHasher,
    /// Leaves that are not what they were.
    rotten: Vec<LeafIndex>,
    /// Some leaf could not be read at the newest point.
    unread: bool,
}

/// The two tables, and what was written between the two points.
struct Tables {
    old: Option<LeafFile>,
    new: LeafFile,
    touched: GranuleSet,
}

impl<E: Engine, V: Volume<Device = E::Device>> Bench<'_, E, V> {
    /// Reads every disk. Returns the table that counts from now on, if there is one.
    pub(crate) fn scrub_disks(
        &mut self,
        mut pass: DiskPass<E, V>,
        found: &mut Findings,
        mark: &mut Mark<'_, E>,
    ) -> Result<Option<LeafTable>, ReplicaError> {
        let mut touched = GranuleSet::new(pass.lens.len());
        if let Some((table, _)) = &pass.then {
            let since = table.sequence;
            match self.ask(|then| Work::Changed { since, then })? {
                Some(spans) => spans.iter().for_each(|span| touched.insert(span)),
                None => pass.then = None,
            }
        }
        let unread = ByteLen(pass.pages * PAGE_LEAVES * LEAF_LEN);
        self.pace.expect(ByteLen(pass.lens.iter().copied().sum::<ByteLen>().0.saturating_sub(unread.0)));
        let next = pass.then.as_ref().map_or(0, |(table, _)| 1 - table.file);
        let old = match &pass.then {
            Some((table, _)) => LeafFile::open(self.engine, self.volume, self.machine, table.file)?,
            None => None,
        };
        let new = match LeafFile::open(self.engine, self.volume, self.machine, next)? {
            Some(begun) if pass.pages > 0 => begun,
            left_over => {
                left_over.into_iter().for_each(|file| file.close(self.engine));
                pass.pages = 0;
                LeafFile::create(self.engine, self.volume, self.machine, next, pages(&pass.lens))?
            }
        };
        let tables = Tables { old, new, touched };
        let table = LeafTable { file: next, generation: pass.generation, sequence: pass.point.sequence };
        let read = self.read_disks(&mut pass, &tables, found, &mut |bench, found, pages| {
            tables.new.flush(bench.engine)?;
            mark(bench.engine, found, Progressed::Disks(table, pages))
        });
        if let Some(old) = tables.old {
            old.close(self.engine);
        }
        let keep = match read {
            Ok(keep) => tables.new.finish(self.engine).map(|()| keep)?,
            Err(error) => {
                tables.new.close(self.engine);
                return Err(error);
            }
        };
        Ok(keep.then_some(table))
    }

    /// Returns whether the new table counts.
    fn read_disks(
        &mut self,
        pass: &mut DiskPass<E, V>,
        tables: &Tables,
        found: &mut Findings,
        mark: &mut PageMark<'_, Self>,
    ) -> Result<bool, ReplicaError> {
        let (mut page, mut keep) = (0, true);
        found.proved = !pass.point.roots.is_empty();
        for index in 0..pass.lens.len() {
            let disk = DiskIndex(u16::try_from(index).expect("a machine has at most 256 disks"));
            let len = pass.lens[index];
            let (root, rotten) = (RootHasher::new(len), Vec::new());
            let mut state = DiskState { disk, len, root, rotten, unread: false };
            for first in (0..len.leaves()).step_by(PAGE_LEAVES as usize) {
                if page < pass.pages && self.take_page(pass, tables, &mut state, page, LeafIndex(first))? {
                    page += 1;
                    continue;
                }
                self.read_page(pass, tables, &mut state, page, LeafIndex(first))?;
                page += 1;
                if !state.unread && keep && page > pass.pages {
                    let rotten = std::mem::take(&mut state.rotten);
                    if !rotten.is_empty() {
                        self.judge_disk(pass, tables, (disk, len), &rotten, false, found)?;
                    }
                    mark(self, found, page)?;
                }
            }
            let root = state.root.finish();
            let given = pass.point.roots.get(index).copied();
            let differs = !state.unread && given.is_some_and(|given| given != root);
            found.proved &= given == Some(root);
            keep &= !state.unread && (pass.then.is_some() || !differs);
            if !state.rotten.is_empty() || differs {
                self.judge_disk(pass, tables, (disk, len), &state.rotten, differs, found)?;
            }
        }
        Ok(keep)
    }

    /// Takes a page over that an earlier part of this pass has written. Returns whether it is what it should be.
    fn take_page(
        &mut self,
        pass: &DiskPass<E, V>,
        tables: &Tables,
        state: &mut DiskState,
        page: u64,
        first: LeafIndex,
    ) -> Result<bool, ReplicaError> {
        let count = (state.len.leaves() - first.0).min(PAGE_LEAVES);
        let known = tables.new.read(self.engine, self.pool, page)?.filter(|known| {
            let of = (known.machine, known.generation, known.sequence, known.disk, known.first);
            of == (self.machine, pass.generation, pass.point.sequence, state.disk, first)
                && known.hashes.len() as u64 == count
        });
        known.iter().flat_map(|known| &known.hashes).for_each(|hash| state.root.leaf(hash));
        Ok(known.is_some())
    }

    /// Reads the leaves of a page, compares them with what they were, and writes what they are now.
    fn read_page(
        &mut self,
        pass: &mut DiskPass<E, V>,
        tables: &Tables,
        state: &mut DiskState,
        page: u64,
        first: LeafIndex,
    ) -> Result<(), ReplicaError> {
        let count = (state.len.leaves() - first.0).min(PAGE_LEAVES);
        let old = match (&tables.old, &pass.then) {
            (Some(file), Some((table, _))) => file.read(self.engine, self.pool, page)?.filter(|old| {
                let of = (old.machine, old.generation, old.sequence, old.disk, old.first);
                of == (self.machine, table.generation, table.sequence, state.disk, first)
                    && old.hashes.len() as u64 == count
            }),
            _ => None,
        };
        let mut unreadable = Vec::new();
        let hashes = match (old, &mut pass.then) {
            (Some(old), Some((_, then))) => {
                let seen = self.hash(then, state, first, count, &mut unreadable)?;
                let leaves = (first.0..).map(LeafIndex);
                let differs = seen.iter().zip(&old.hashes).zip(leaves);
                let differs = differs.filter(|((seen, old), _)| seen.is_some_and(|seen| seen != **old));
                state.rotten.extend(differs.map(|(_, leaf)| leaf));
                let mut hashes = old.hashes;
                for (hash, leaf) in hashes.iter_mut().zip(first.0..) {
                    let leaf = LeafIndex(leaf);
                    if !tables.touched.present(&span_of(state.disk, state.len, leaf)).is_empty() {
                        *hash = self.hash(&mut pass.now, state, leaf, 1, &mut unreadable)?[0].unwrap_or_else(
                            || {
                                state.unread = true;
                                Hash::default()
                            },
                        );
                    }
                }
                hashes
            }
            _ => {
                let seen = self.hash(&mut pass.now, state, first, count, &mut unreadable)?;
                state.unread |= seen.iter().any(Option::is_none);
                seen.into_iter().map(Option::unwrap_or_default).collect()
            }
        };
        // What can't be read is not what it was.
        state.rotten.extend(unreadable);
        state.rotten.sort();
        state.rotten.dedup();
        hashes.iter().for_each(|hash| state.root.leaf(hash));
        let (machine, generation, sequence) = (self.machine, pass.generation, pass.point.sequence);
        let content = LeafPage { machine, generation, sequence, disk: state.disk, first, hashes };
        tables.new.write(self.engine, page, &content)
    }

    /// Hashes leaves as a view shows them; `None` for one whose content is lost in the journal, or, as `unreadable` then says, can't
    /// be read from the disk.
    fn hash(
        &mut self,
        view: &mut ViewReader<E, V>,
        state: &DiskState,
        first: LeafIndex,
        count: u64,
        unreadable: &mut Vec<LeafIndex>,
    ) -> Result<Vec<Option<Hash>>, ReplicaError> {
        let mut hashes = Vec::new();
        let mut buffer = vec![0; (READ_LEAVES * LEAF_LEN) as usize];
        let mut at = first.0;
        while at < first.0 + count {
            let leaves = (first.0 + count - at).min(READ_LEAVES);
            let start = LeafIndex(at).offset();
            let end = LeafIndex(at + leaves).offset().0.min(state.len.0);
            let part = &mut buffer[..ByteLen(end - start.0).as_usize()];
            match view.read(state.disk, start, part) {
                Ok(()) => {
                    hashes.extend(part.chunks(LEAF_LEN as usize).map(|leaf| Some(blake3::hash(leaf).into())));
                }
                Err(error) if error.kind() == FailureKind::Damaged && leaves == 1 => hashes.push(None),
                Err(error) if error.is_unreadable() && leaves == 1 => {
                    tracing::error!(machine = %self.machine, disk = %state.disk, leaf = at, error = %chain(&error), "a leaf can't be read");
                    unreadable.push(LeafIndex(at));
                    hashes.push(None);
                }
                Err(error) if error.kind() == FailureKind::Damaged || error.is_unreadable() => {
                    for leaf in at..at + leaves {
                        hashes.extend(self.hash(view, state, LeafIndex(leaf), 1, unreadable)?);
                    }
                }
                Err(error) => return Err(error),
            }
            self.pace.count(part.len() as u64)?;
            at += leaves;
        }
        Ok(hashes)
    }

    /// Says which points what was found spoils, and what the source should send again.
    fn judge_disk(
        &mut self,
        pass: &DiskPass<E, V>,
        tables: &Tables,
        (disk, len): (DiskIndex, ByteLen),
        rotten: &[LeafIndex],
        differs: bool,
        found: &mut Findings,
    ) -> Result<(), ReplicaError> {
        let indexes = self.ask(|then| Work::Indexes { then })?;
        let newest = indexes.last().map_or(Sequence(0), |epoch| epoch.last);
        let touched = |span: &Span| !tables.touched.present(span).is_empty();
        let since = pass.then.as_ref().map_or(Sequence(0), |(table, _)| table.sequence);
        let mut doubt: Vec<Span> = Vec::new();
        for leaf in rotten {
            let span = span_of(disk, len, *leaf);
            let known = self.shared.lock().damage.iter().any(|damage| covers(damage, &span, since));
            match spoilt_until(&indexes, &span, since) {
                _ if known => {}
                // It was overwritten since: what was captured of it then is not what the source had.
                Some(last) if touched(&span) => {
                    let first = spoilt_by_target(&indexes, &span, since);
                    found.damage.push(self.damage(span, first, Some(last)));
                }
                _ => doubt.push(span),
            }
        }
        if differs && pass.then.is_none() {
            doubt.push(Span { disk, start: ByteOffset(0), len });
        } else if differs {
            let leaves = (0..len.leaves()).map(|leaf| span_of(disk, len, LeafIndex(leaf)));
            doubt.extend(leaves.filter(touched));
        }
        doubt.sort_by_key(|span| span.start);
        for span in joined(doubt) {
            let first = spoilt_by_target(&indexes, &span, newest);
            found.damage.push(self.damage(span, first, None));
            found.resend.push(span);
        }
        Ok(())
    }

    fn damage(&self, span: Span, first: Sequence, last: Option<Sequence>) -> Damage {
        let (place, found) = (DamagedPlace::Target, self.now);
        Damage { disk: span.disk, start: span.start, len: span.len, place, first, last, found }
    }
}

/// Tells whether it is known that the span is lost at a point.
fn covers(damage: &Damage, span: &Span, at: Sequence) -> bool {
    let end = |start: ByteOffset, len: ByteLen| start.0 + len.0;
    damage.disk == span.disk
        && damage.start < ByteOffset(end(span.start, span.len))
        && span.start.0 < end(damage.start, damage.len)
        && damage.spoils(at)
}

fn span_of(disk: DiskIndex, len: ByteLen, leaf: LeafIndex) -> Span {
    let start = leaf.offset();
    Span { disk, start, len: ByteLen(LEAF_LEN.min(len.0 - start.0)) }
}

/// Joins spans that follow one another or overlap.
fn joined(spans: Vec<Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.start.0 + last.len.0 >= span.start.0 => {
                let end = (span.start.0 + span.len.0).max(last.start.0 + last.len.0);
                last.len = ByteLen(end - last.start.0);
            }
            _ => joined.push(span),
        }
    }
    joined
}
