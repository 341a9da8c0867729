//! Page-aligned memory that is moved into an operation and comes back with its completion.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aligned_vec::{AVec, ConstAlign};

/// Bytes every buffer's address is a multiple of: enough for O_DIRECT on every device we accept.
pub const PAGE_LEN: usize = 4096;
/// The number of a buffer that stands in for one that is lost: the kernel does not know it.
const STAND_IN: u16 = u16::MAX;
/// Buffers one pool may hold: as many as the kernel lets a ring register.
pub const POOL_PAGES_MAX: usize = 1 << 14;

const _: () = assert!(PAGE_LEN.is_power_of_two());

/// Memory of fixed capacity, aligned to [`PAGE_LEN`] and always initialised.
type Memory = AVec<u8, ConstAlign<PAGE_LEN>>;

/// Returns `capacity` zeroed bytes that are never moved or grown.
fn zeroed_memory(capacity: usize) -> Memory {
    let mut memory: Memory = AVec::with_capacity(PAGE_LEN, capacity);
    memory.resize(capacity, 0);
    assert_eq!(memory.len(), capacity, "all of a buffer is initialised");
    assert!(memory.as_ptr().addr().is_multiple_of(PAGE_LEN), "a buffer starts on a page");
    memory
}

/// An aligned buffer; reads and writes as a slice of its length. One lent by a [`PagePool`] returns there when dropped.
///
/// Its bytes never move while it exists, wherever the value itself is moved.
pub struct PageBuf {
    memory: Memory,
    len: usize,
    home: Option<Home>,
}

/// Where a lent buffer belongs.
struct Home {
    pool: PagePool,
    index: u16,
}

impl PageBuf {
    /// Makes a free-standing buffer of `len` zero bytes, which is also its capacity.
    pub fn zeroed(len: usize) -> Self {
        Self { memory: zeroed_memory(len), len, home: None }
    }

    /// Makes a free-standing buffer with a copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut buffer = Self::zeroed(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }

    /// Returns how many bytes the buffer can be set to hold.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Sets how many bytes the buffer shows. Bytes shown anew are what an earlier use left there, or zero. Panics if
    /// `len` is above the capacity: a bug of ours.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "a buffer of {} bytes cannot show {len}", self.capacity());
        self.len = len;
    }

    /// Returns the number of this buffer in `pool`, if it was lent by it.
    pub(crate) fn index_in(&self, pool: &PagePool) -> Option<u16> {
        let home = self.home.as_ref()?;
        (Arc::ptr_eq(&home.pool.shared, &pool.shared) && home.index != STAND_IN).then_some(home.index)
    }

    /// Says that nobody knows when the kernel is done with the buffer: its pool has another made in its place.
    pub(crate) fn lost(&mut self) {
        if let Some(home) = &self.home {
            let memory = zeroed_memory(home.pool.shared.len_each);
            home.pool.free().push((STAND_IN, memory));
        }
    }

    /// Says that the kernel is done with a buffer that was lost: one that stands in for it goes, at once or when it comes back.
    pub(crate) fn found(&mut self) {
        if let Some(home) = &self.home {
            let mut free = home.pool.free();
            match free.iter().position(|(index, _)| *index == STAND_IN) {
                Some(at) => drop(free.swap_remove(at)),
                None => drop(home.pool.shared.retire.fetch_add(1, Ordering::Relaxed)),
            }
        }
    }
}

impl Deref for PageBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl DerefMut for PageBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }
}

impl AsRef<[u8]> for PageBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for PageBuf {
    /// Writes the size only: payload never reaches a log.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PageBuf({} of {} bytes)", self.len, self.capacity())
    }
}

impl Drop for PageBuf {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let memory = std::mem::replace(&mut self.memory, AVec::new(PAGE_LEN));
            home.pool.take_back(home.index, memory);
        }
    }
}

/// A fixed number of equal buffers, lent by value. Clones share one pool.
///
/// *Invariant:* buffers lent plus buffers free are always as many as were made, and one more for each that is lost in the kernel.
#[derive(Clone)]
pub struct PagePool {
    shared: Arc<Shared>,
}

struct Shared {
    free: Mutex<Vec<(u16, Memory)>>,
    /// Address of each buffer, by its number; they stay where they are for as long as the pool exists.
    addresses: Box<[usize]>,
    len_each: usize,
    /// Buffers that stood in for others and go when they come back.
    retire: AtomicUsize,
}

impl PagePool {
    /// Makes `count` zeroed buffers of `len_each` bytes. Panics if `count` is 0 or above [`POOL_PAGES_MAX`], or if
    /// `len_each` is 0: our configuration is checked before.
    pub fn new(count: usize, len_each: usize) -> Self {
        assert!(
            (1..=POOL_PAGES_MAX).contains(&count),
            "a pool holds 1 to {POOL_PAGES_MAX} buffers, not {count}"
        );
        assert!(len_each > 0, "a pool's buffers hold something");
        let indexes = (0..count).map(|index| u16::try_from(index).expect("a pool has at most 2^14 buffers"));
        let mut free: Vec<_> = indexes.map(|index| (index, zeroed_memory(len_each))).collect();
        // The kernel is given these addresses: they may be made pointers again.
        let addresses = free.iter_mut().map(|(_, memory)| memory.as_mut_ptr().expose_provenance()).collect();
        let (free, retire) = (Mutex::new(free), AtomicUsize::new(0));
        Self { shared: Arc::new(Shared { free, addresses, len_each, retire }) }
    }

    /// Lends a buffer that shows `len` bytes (what an earlier use left there, or zero), or `None` while all are lent.
    /// Panics if `len` is above what the pool's buffers hold: a bug of ours.
    pub fn lend(&self, len: usize) -> Option<PageBuf> {
        assert!(len <= self.shared.len_each, "a buffer of {} bytes cannot show {len}", self.shared.len_each);
        let (index, memory) = self.free().pop()?;
        Some(PageBuf { memory, len, home: Some(Home { pool: self.clone(), index }) })
    }

    /// Returns how many buffers can be lent now.
    pub fn available(&self) -> usize {
        self.free().len()
    }

    /// Returns how many buffers the pool was made with.
    pub fn count(&self) -> usize {
        self.shared.addresses.len()
    }

    /// Returns how many bytes each buffer can hold.
    pub fn len_each(&self) -> usize {
        self.shared.len_each
    }

    /// Returns the address of every buffer, by its number.
    pub(crate) fn addresses(&self) -> &[usize] {
        &self.shared.addresses
    }

    fn take_back(&self, index: u16, memory: Memory) {
        if index == STAND_IN {
            let mut free = self.free();
            let goes = |left: usize| left.checked_sub(1);
            if self.shared.retire.fetch_update(Ordering::Relaxed, Ordering::Relaxed, goes).is_err() {
                free.push((index, memory));
            }
            return;
        }
        let home = self.shared.addresses[usize::from(index)];
        assert_eq!(memory.as_ptr().addr(), home, "a buffer comes back to its place, unmoved");
        let mut free = self.free();
        assert!(free.iter().all(|(other, _)| *other != index), "no buffer comes back twice");
        free.push((index, memory));
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<(u16, Memory)>> {
        // A panic elsewhere cannot leave this list half changed: push and pop are its only changes.
        self.shared.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PagePool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PagePool({} of {} free, {} bytes each)", self.available(), self.count(), self.len_each())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_on_a_page_and_read_as_zero() {
        let buffer = PageBuf::zeroed(3 * PAGE_LEN + 512);
        assert!(buffer.as_ptr().addr().is_multiple_of(PAGE_LEN));
        assert!(buffer.iter().all(|byte| *byte == 0));
        assert_eq!(buffer.len(), 3 * PAGE_LEN + 512);
    }

    #[test]
    fn a_pool_lends_no_more_than_it_has_and_gets_everything_back() {
        let pool = PagePool::new(2, 8192);
        let first = pool.lend(8192).expect("one of two");
        let second = pool.lend(512).expect("two of two");
        assert!(pool.lend(512).is_none());
        assert_ne!(first.index_in(&pool), second.index_in(&pool));
        drop(first);
        assert_eq!(pool.available(), 1);
        drop(second);
        assert_eq!(pool.available(), 2);
    }

    #[test]
    fn a_lost_buffer_has_one_that_stands_in_for_it_until_it_is_found() {
        let pool = PagePool::new(1, 8192);
        for stand_in_is_lent in [false, true] {
            let mut lost = pool.lend(8192).expect("the only one");
            lost.lost();
            let stand_in = pool.lend(4096).expect("another was made");
            assert!(pool.lend(1).is_none() && stand_in.index_in(&pool).is_none());
            let held = stand_in_is_lent.then_some(stand_in);
            lost.found();
            drop(lost);
            assert_eq!(pool.available(), 1);
            drop(held);
            assert_eq!(pool.available(), 1, "the other is gone");
            assert_eq!(pool.lend(1).and_then(|buffer| buffer.index_in(&pool)), Some(0));
        }
    }

    #[test]
    fn a_buffer_outlives_the_handle_of_its_pool() {
        let pool = PagePool::new(1, 4096);
        let mut buffer = pool.lend(4096).expect("a fresh pool lends");
        drop(pool);
        buffer.fill(7);
        assert_eq!(buffer[4095], 7);
    }

    #[test]
    fn buffers_know_their_own_pool_only() {
        let (ours, theirs) = (PagePool::new(1, 4096), PagePool::new(1, 4096));
        let buffer = ours.lend(4096).expect("a fresh pool lends");
        assert_eq!(buffer.index_in(&ours), Some(0));
        assert_eq!(buffer.index_in(&theirs), None);
        assert_eq!(PageBuf::zeroed(1).index_in(&ours), None);
    }

    #[test]
    fn no_payload_in_debug_output() {
        let buffer = PageBuf::copy_of(b"secret");
        assert_eq!(format!("{buffer:?}"), "PageBuf(6 of 6 bytes)");
    }

    #[test]
    #[should_panic(expected = "cannot show")]
    fn a_buffer_never_shows_more_than_it_holds() {
        PageBuf::zeroed(4096).set_len(4097);
    }
}
