//! An image as clients see it: any byte may be read and written, although an [`Export`] works in granules.

use std::sync::{Arc, PoisonError, RwLock};

use blockdev::PageBuf;
use units::{ByteLen, ByteOffset, GRANULE_LEN};

use crate::protocol::request::Stretch;
use crate::{Export, ExportError, PIECE_LEN_MAX, Span};

/// Spans told in one reply to a request for block status.
const SPANS_MAX: usize = 4096;

const _: () = assert!((PIECE_LEN_MAX as u64).is_multiple_of(GRANULE_LEN));

/// An image, and the lock that lets clients write parts of a granule.
///
/// *Invariant:* whoever writes whole granules holds the lock shared; whoever reads a granule to write a part of it anew
/// holds it alone. So no write beside it is lost.
pub(crate) struct Image {
    export: Arc<dyn Export>,
    edges: RwLock<()>,
}

impl Image {
    /// Makes an image of an export.
    pub(crate) fn new(export: Arc<dyn Export>) -> Self {
        Self { export, edges: RwLock::new(()) }
    }

    /// Returns its length.
    pub(crate) fn len(&self) -> ByteLen {
        self.export.len()
    }

    /// Tells whether it takes writes.
    pub(crate) fn is_writable(&self) -> bool {
        self.export.is_writable()
    }

    /// Reads a piece, and returns the bytes of it; `buffer` grows as needed.
    pub(crate) fn read<'a>(&self, piece: Stretch, buffer: &'a mut PageBuf) -> Result<&'a [u8], ExportError> {
        let whole = self.whole_granules(piece);
        show(buffer, whole.len.as_usize());
        self.export.read(whole.at, buffer)?;
        let lead = piece.at.since(whole.at).as_usize();
        Ok(&buffer[lead..lead + piece.len.as_usize()])
    }

    /// Writes a piece that lies in `buffer` from [`lead`] on; the bytes around it are of no account.
    pub(crate) fn write(&self, piece: Stretch, buffer: &mut PageBuf) -> Result<(), ExportError> {
        let whole = self.whole_granules(piece);
        assert_eq!(buffer.len(), whole.len.as_usize(), "the buffer holds the granules of the piece");
        if whole == piece {
            let _shared = self.edges.read().unwrap_or_else(PoisonError::into_inner);
            return self.export.write(whole.at, buffer);
        }
        let _alone = self.edges.write().unwrap_or_else(PoisonError::into_inner);
        let (start, end) = (lead(piece), lead(piece) + piece.len.as_usize());
        let granule = GRANULE_LEN as usize;
        let mut old = PageBuf::zeroed(granule);
        if start > 0 {
            old.set_len(granule.min(buffer.len()));
            self.export.read(whole.at, &mut old)?;
            buffer[..start].copy_from_slice(&old[..start]);
        }
        if end < buffer.len() {
            let last = (end / granule) * granule;
            old.set_len(buffer.len() - last);
            self.export.read(ByteOffset(whole.at.0 + last as u64), &mut old)?;
            buffer[end..].copy_from_slice(&old[end - last..]);
        }
        self.export.write(whole.at, buffer)
    }

    /// Makes a stretch zero, to the byte.
    pub(crate) fn zero(&self, stretch: Stretch) -> Result<(), ExportError> {
        let (first, inner, last) = self.split(stretch);
        for edge in [first, last].into_iter().flatten() {
            let mut zeroes = PageBuf::zeroed(self.whole_granules(edge).len.as_usize());
            self.write(edge, &mut zeroes)?;
        }
        self.zero_granules(inner)
    }

    /// Makes those granules zero that lie in a stretch wholly: their content is of no more use to the client.
    pub(crate) fn trim(&self, stretch: Stretch) -> Result<(), ExportError> {
        self.zero_granules(self.split(stretch).1)
    }

    /// Makes durable what was written.
    pub(crate) fn flush(&self) -> Result<(), ExportError> {
        self.export.flush()
    }

    /// Tells what a stretch holds; spans of one kind are joined. Less may be told than was asked.
    pub(crate) fn status(&self, stretch: Stretch) -> Result<Vec<Span>, ExportError> {
        let whole = self.whole_granules(stretch);
        let mut skip = stretch.at.since(whole.at);
        let mut left = stretch.len;
        let mut told: Vec<Span> = Vec::new();
        for Span { len, allocation } in self.export.status(whole.at, whole.len)? {
            let skipped = skip.0.min(len.0);
            skip.0 -= skipped;
            let len = ByteLen((len.0 - skipped).min(left.0));
            left.0 -= len.0;
            let full = told.len() == SPANS_MAX;
            match told.last_mut() {
                _ if len == ByteLen::ZERO => {}
                Some(last) if last.allocation == allocation => last.len += len,
                _ if full => break,
                _ => told.push(Span { len, allocation }),
            }
        }
        assert!(!told.is_empty(), "an export tells of one span at least");
        Ok(told)
    }

    /// Returns how many bytes the granules of a piece have.
    pub(crate) fn granules_len(&self, piece: Stretch) -> usize {
        self.whole_granules(piece).len.as_usize()
    }

    fn zero_granules(&self, granules: Option<Stretch>) -> Result<(), ExportError> {
        let Some(Stretch { at, len }) = granules else { return Ok(()) };
        let _shared = self.edges.read().unwrap_or_else(PoisonError::into_inner);
        self.export.zero(at, len)
    }

    /// Returns the granules a stretch touches, cut at the end of the image.
    fn whole_granules(&self, stretch: Stretch) -> Stretch {
        let at = stretch.at.granule().offset();
        let end = ByteLen(stretch.at.0 + stretch.len.0).round_up(GRANULE_LEN).0.min(self.len().0);
        Stretch { at, len: ByteLen(end - at.0) }
    }

    /// Splits a stretch into a part of a granule, whole granules, and a part of a granule.
    fn split(&self, stretch: Stretch) -> (Option<Stretch>, Option<Stretch>, Option<Stretch>) {
        let end = stretch.at.0 + stretch.len.0;
        let inner_start = stretch.at.0.next_multiple_of(GRANULE_LEN).min(end);
        let floor = if end == self.len().0 { end } else { end - end % GRANULE_LEN };
        let inner_end = floor.max(inner_start);
        let part = |from: u64, to: u64| {
            (from < to).then(|| Stretch { at: ByteOffset(from), len: ByteLen(to - from) })
        };
        (part(stretch.at.0, inner_start), part(inner_start, inner_end), part(inner_end, end))
    }
}

/// Returns where a piece starts in its first granule.
pub(crate) fn lead(piece: Stretch) -> usize {
    piece.at.since(piece.at.granule().offset()).as_usize()
}

/// Cuts a stretch into pieces of at most [`PIECE_LEN_MAX`], their granules included.
pub(crate) fn pieces(stretch: Stretch) -> impl Iterator<Item = Stretch> {
    let end = stretch.at.0 + stretch.len.0;
    let mut at = stretch.at.0;
    std::iter::from_fn(move || {
        if at == end {
            return None;
        }
        let next = (ByteOffset(at).granule().offset().0 + PIECE_LEN_MAX as u64).min(end);
        let piece = Stretch { at: ByteOffset(at), len: ByteLen(next - at) };
        at = next;
        Some(piece)
    })
}

/// Sets how many bytes a buffer shows, and makes it larger if need be.
pub(crate) fn show(buffer: &mut PageBuf, len: usize) {
    assert!(len <= PIECE_LEN_MAX, "a piece is bounded");
    if buffer.capacity() < len {
        *buffer = PageBuf::zeroed(len.next_power_of_two().min(PIECE_LEN_MAX));
    }
    buffer.set_len(len);
}
