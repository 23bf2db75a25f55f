//! Bytes of a file, in memory that the next operation of the thread uses again.

use std::cell::Cell;
use std::fs::File;
use std::io;

use super::dir::read_start;
use super::layout;

/// Up to this size a buffer is kept for later, and the length of a file is believed.
const USUAL: usize = 64 << 10;

thread_local! {
    /// Cleared once, when it grows, and not for every file.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn take() -> Self {
        Self(SPARE.try_with(Cell::take).unwrap_or_default())
    }

    /// `len` bytes, with anything in them.
    pub(super) fn dirty(&mut self, len: usize) -> &mut [u8] {
        if self.0.len() < len {
            self.0.resize(len, 0);
        }
        &mut self.0[..len]
    }

    /// `len` zeros.
    pub(super) fn zeros(&mut self, len: usize) -> &mut [u8] {
        let bytes = self.dirty(len);
        bytes.fill(0);
        bytes
    }

    /// A whole file of `len` bytes, or its beginning if no session is that long.
    pub(super) fn read(&mut self, file: &File, len: u64) -> io::Result<&[u8]> {
        let mut wanted = usize::try_from(len).unwrap_or(usize::MAX);
        if wanted > USUAL {
            // It may be a sparse one of many gigabytes: as much as its head speaks of, then.
            let head = self.dirty(layout::HEAD_LEN);
            let count = read_start(file, head)?;
            wanted = wanted.min(layout::len_by_head(&head[..count]).unwrap_or(layout::HEAD_LEN));
        }
        let bytes = self.dirty(wanted);
        let count = read_start(file, bytes)?;
        Ok(&self.0[..count])
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() <= USUAL {
            let bytes = std::mem::take(&mut self.0);
            // No thread-local any more: the thread is ending, and the bytes go with it.
            let _ = SPARE.try_with(|spare| spare.set(bytes));
        }
    }
}
