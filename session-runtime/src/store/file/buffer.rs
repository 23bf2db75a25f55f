//! The bytes of a file, in memory that a thread uses again for its next operation.

use std::cell::Cell;
use std::fs::File;
use std::io;

use super::dir::read_start;
use super::layout;

/// Larger buffers are not kept, and the length of a larger file is not trusted.
const USUAL: usize = 64 << 10;

thread_local! {
    /// It is filled with zeros when it grows, and not for every file.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn take() -> Self {
        Self(SPARE.try_with(Cell::take).unwrap_or_default())
    }

    /// Returns `len` bytes of any content.
    pub(super) fn dirty(&mut self, len: usize) -> &mut [u8] {
        if self.0.len() < len {
            self.0.resize(len, 0);
        }
        &mut self.0[..len]
    }

    /// Returns `len` zeros.
    pub(super) fn zeros(&mut self, len: usize) -> &mut [u8] {
        let bytes = self.dirty(len);
        bytes.fill(0);
        bytes
    }

    /// Reads a whole file of `len` bytes, or its beginning if no session is that long.
    pub(super) fn read(&mut self, file: &File, len: u64) -> io::Result<&[u8]> {
        let mut wanted = usize::try_from(len).unwrap_or(usize::MAX);
        if wanted > USUAL {
            // It may be a sparse file of many gigabytes, so the length in its head counts.
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
            // An error says that the thread is ending. Then the bytes are dropped.
            let _ = SPARE.try_with(|spare| spare.set(bytes));
        }
    }
}
