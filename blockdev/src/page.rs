//! Page-aligned memory that is moved into an operation and comes back with its completion.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use aligned_vec::{AVec, ConstAlign};

/// Bytes every buffer's address is a multiple of: enough for O_DIRECT on every device we accept.
pub const PAGE_LEN: usize = 4096;
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
        Arc::ptr_eq(&home.pool.shared, &pool.shared).then_some(home.index)
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
/// *Invariant:* buffers lent plus buffers free are always as many as were made.
#[derive(Clone)]
pub struct PagePool {
    shared: Arc<Shared>,
}

struct Shared {
    free: Mutex<Vec<(u16, Memory)>>,
    /// Address of each buffer, by its number; they stay where they are for as long as the pool exists.
    addresses: Box<[usize]>,
    len_each: usize,
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
        Self { shared: Arc::new(Shared { free: Mutex::new(free), addresses, len_each }) }
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
        let home = self.shared.addresses[usize::from(index)];
        assert_eq!(memory.as_ptr().addr(), home, "a buffer comes back to its place, unmoved");
        let mut free = self.free();
        free.push((index, memory));
        assert!(free.len() <= self.count(), "no buffer comes back twice");
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
