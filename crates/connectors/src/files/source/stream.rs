//! One stream from its files into its lane: sweep after sweep.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use futures::future::{self, Either};
use tidemark_engine::{
    Error, PartId, Result,
    change::Op,
    log::{Former, KeyRange, SyncStep},
    read::{End, Lane, Outlet, Phase, ReadContext},
};
use tokio::sync::Semaphore;

use super::{
    super::OnRewrite,
    cursor::{Mark, StreamCursor},
    folder::{self, Found},
    layout::Stream,
    reader::{FileReader, Opened, Progress},
    sweep::{Seen, Sweep},
    watch::Watch,
};
use crate::records::Table;

/// A last line without a line end is taken as it is once the file has not been written to for so long: half a line would
/// be wrong, so whoever writes has time.
const AT_REST: Duration = Duration::from_secs(60);
/// The same in a run that is to end, which somebody waits for.
const AT_REST_IN_PASSING: Duration = Duration::from_secs(2);
/// How often to wait for a file to come to rest before going on without its last line.
const WAITS: u32 = 5;
/// How often to look again when a file seems rewritten, until two looks in a row find the same files.
const GLANCES: usize = 5;
/// A boundary is put after so many rows or bytes, and at the end of each sweep.
const BOUNDARY_ROWS: usize = 65_536;
const BOUNDARY_BYTES: usize = 8 << 20;

/// Where files are, and how often to look.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// Whether sub-folders count.
    pub(super) deep: bool,
    pub(super) poll: Duration,
    /// How many files are read at once, over all streams: memory is bounded by it.
    pub(super) files_open: Arc<Semaphore>,
}

/// One stream being read.
pub(super) struct StreamRun {
    stream: Arc<Stream>,
    place: Place,
    out: Outlet,
    cx: ReadContext,
    lane: Lane,
    cursor: StreamCursor,
    table: Table,
    watch: Watch,
    unmarked: Unmarked,
}

/// What there is since the last boundary.
#[derive(Debug, Default)]
struct Unmarked {
    rows: usize,
    bytes: usize,
    /// Whether the cursor moved, with rows or without.
    moved: bool,
}

/// One turn of reading: the file and the table go to a processor and come back with what was read.
struct Turn {
    reader: Box<FileReader>,
    table: Table,
    progress: Result<Progress>,
    mark: Mark,
}

/// How to read on.
#[derive(Debug, Clone, Copy)]
struct Way {
    op: Op,
    /// Whether the end of the file decides what is still open.
    settle: bool,
    /// Whether to take the last line without a line end, instead of the next records.
    last: bool,
}

impl Turn {
    async fn take(cx: &ReadContext, mut reader: Box<FileReader>, mut table: Table, way: Way) -> Result<Self> {
        let Way { op, settle, last } = way;
        let work = move || {
            let progress =
                if last { reader.last(&mut table, op, settle) } else { reader.next(&mut table, op, settle) };
            let mark = reader.mark();
            Self { reader, table, progress, mark }
        };
        cx.world.compute(work).await
    }
}

impl StreamRun {
    /// Goes on where the stream's part of the cursor stands.
    pub(super) fn new(
        stream: Arc<Stream>,
        place: Place,
        cursor: StreamCursor,
        out: Outlet,
        cx: ReadContext,
    ) -> Self {
        let phase = if cursor.initial_sync_done { Phase::Changes } else { Phase::InitialSync };
        let lane = out.lane(PartId::new(stream.outline.name.as_str()), phase);
        let table = Table::new(&stream.outline, cursor.columns.clone());
        let (watch, unmarked) = (Watch::default(), Unmarked::default());
        Self { stream, place, out, cx, lane, cursor, table, watch, unmarked }
    }

    /// Begins to read the stream anew, durably: every file that is there now, from its beginning. Destinations keep what they have of
    /// it until all is read. What the files have gained meanwhile is read with the rest, so nothing goes on beside it: it is stale.
    /// One of which the first sync, or another, is under way goes on with that.
    pub(super) async fn begin_anew(&mut self) -> Result<()> {
        if !self.cursor.initial_sync_done {
            return Ok(());
        }
        self.cursor = self.cursor.clone().anew();
        let (stream, generation) = (self.stream.outline.name.clone(), self.cursor.generation);
        tracing::info!(%stream, generation, "every file is read anew");
        self.lane = self.out.lane(PartId::new(stream.as_str()), Phase::InitialSync);
        self.lane.note(SyncStep::Begin { stream, generation, former: Former::Stale });
        if let Some(emptied) = self.table.emptied()? {
            self.lane.batch(emptied).await?;
        }
        self.lane.boundary(self.cursor.to_bytes()?, None).await?.durable().await
    }

    /// Reads until told to stop or, if only that is asked for, to the end.
    pub(super) async fn run(mut self) -> Result<End> {
        let mut waits = 0;
        loop {
            let unfinished = self.sweep().await?;
            if self.cx.stop.is_stopped() {
                return Ok(End::Stopped);
            }
            let pause = match unfinished {
                // A last line without a line end still belongs to what there was.
                Some(rest) if self.cx.until_caught_up && waits < WAITS => {
                    waits += 1;
                    rest
                }
                _ => {
                    self.end_initial_sync().await?;
                    if self.cx.until_caught_up {
                        return Ok(End::CaughtUp);
                    }
                    self.place.poll
                }
            };
            let (sleep, stopped) = (self.cx.world.sleep(pause), self.cx.stop.stopped());
            if let Either::Right(_) = future::select(Box::pin(sleep), Box::pin(stopped)).await {
                return Ok(End::Stopped);
            }
        }
    }

    /// Looks at the files once and reads what is new. Returns how long until the unfinished ends are at rest, if there
    /// are any.
    async fn sweep(&mut self) -> Result<Option<Duration>> {
        let files = self.look().await?;
        let files = files.iter().filter(|seen| seen.has_more() && !self.watch.is_aside(&seen.found));
        let files = files.collect::<Vec<_>>();
        let mut unfinished = None;
        for (at, seen) in files.iter().enumerate() {
            if self.cx.stop.is_stopped() {
                break;
            }
            // Once all there was has been seen, a column without a value will do as text.
            let settle = !self.cursor.initial_sync_done && at + 1 == files.len();
            match self.read(seen, settle).await {
                Ok(rest) => unfinished = unfinished.max(rest),
                Err(error) => {
                    // What was read before the error is sound, and need not be read again. Where that fails too, the
                    // first error says why.
                    let _ = self.boundary().await;
                    return Err(error);
                }
            }
        }
        self.boundary().await?;
        Ok(unfinished)
    }

    /// Looks until nothing was renamed in the meantime, if a file seems rewritten: in the middle of a rotation a new file
    /// stands under a known name while the known one is nowhere to be seen. What is doubtful to the last is left for the
    /// next look.
    async fn look(&mut self) -> Result<Vec<Seen>> {
        let mut files = self.glance().await?;
        for _ in 0..GLANCES {
            if !files.iter().any(|seen| seen.rewritten) {
                return Ok(files);
            }
            let before = std::mem::replace(&mut files, self.glance().await?);
            if identities(&before) == identities(&files) {
                // The second may itself have been crossed by a rotation.
                let doubtful = before.into_iter().filter(|seen| !seen.rewritten).map(|seen| seen.found.path);
                let doubtful = doubtful.collect::<HashSet<_>>();
                files.retain(|seen| !seen.rewritten || !doubtful.contains(&seen.found.path));
                return Ok(files);
            }
        }
        files.retain(|seen| !seen.rewritten);
        Ok(files)
    }

    /// Lists the files and finds out which is which.
    async fn glance(&mut self) -> Result<Vec<Seen>> {
        let (stream, place) = (self.stream.clone(), self.place.clone());
        let (mut cursor, mut watch) = (self.cursor.clone(), std::mem::take(&mut self.watch));
        let now = self.cx.world.now();
        let work = move || {
            let mut found = folder::list(&place.folder, place.deep)?;
            found.retain(|file| stream.owns(file));
            watch.keep(&found);
            let sweep = Sweep::new(&mut cursor, found, |file, mark| watch.compare(file, mark, now))?;
            Ok::<_, Error>((sweep, cursor, watch))
        };
        let (sweep, cursor, watch) = self.cx.world.compute(work).await??;
        (self.cursor, self.watch) = (cursor, watch);
        self.unmarked.moved |= sweep.moved;
        Ok(sweep.files)
    }

    /// Reads one file to the size it had when it was looked at. Returns how long until its unfinished end is at rest.
    async fn read(&mut self, seen: &Seen, settle: bool) -> Result<Option<Duration>> {
        if seen.rewritten {
            self.forget(seen)?;
        }
        let slots = self.place.files_open.clone();
        let _slot =
            slots.acquire().await.map_err(|error| Error::internal("reading has ended").source(error))?;
        let (stream, file) = (self.stream.clone(), seen.clone());
        let reader = match self.cx.world.compute(move || FileReader::open(&stream, &file)).await?? {
            Opened::Reader(reader) => reader,
            Opened::Gone => return Ok(None),
            Opened::Unfinished => return self.unfinished(&seen.found),
        };
        let op = if self.cursor.initial_sync_done { Op::Create } else { Op::Read };
        let way = Way { op, settle, last: false };
        let mut next = Turn::take(&self.cx, reader, self.table.clone(), way).await?;
        loop {
            let Turn { reader, table, progress, mark } = next;
            match progress? {
                Progress::Batch(batch) => {
                    self.table = table.clone();
                    let (rows, bytes) = (batch.rows(), batch.byte_size());
                    // The next records are read while these are handed over.
                    let ahead = Turn::take(&self.cx, reader, table, way);
                    let (pushed, ahead) = future::join(self.lane.batch(*batch), ahead).await;
                    pushed?;
                    self.took(mark, rows, bytes);
                    if self.unmarked.rows >= BOUNDARY_ROWS || self.unmarked.bytes >= BOUNDARY_BYTES {
                        self.boundary().await?;
                    }
                    if self.cx.stop.is_stopped() {
                        return Ok(None);
                    }
                    next = ahead?;
                }
                Progress::End => {
                    self.table = table;
                    self.took(mark, 0, 0);
                    return Ok(None);
                }
                Progress::Unfinished => {
                    self.table = table.clone();
                    self.took(mark, 0, 0);
                    let rest = self.rest(&seen.found);
                    if rest.is_some() {
                        return Ok(rest);
                    }
                    let last = Turn::take(&self.cx, reader, table, Way { last: true, ..way }).await?;
                    return self.last(last, &seen.found).await;
                }
            }
        }
    }

    /// Takes the last line although no line end follows it.
    async fn last(&mut self, turn: Turn, found: &Found) -> Result<Option<Duration>> {
        let Turn { table, progress, mark, .. } = turn;
        match progress? {
            Progress::Batch(batch) => {
                self.table = table;
                let (rows, bytes) = (batch.rows(), batch.byte_size());
                self.lane.batch(*batch).await?;
                self.took(mark, rows, bytes);
            }
            Progress::End => {
                self.table = table;
                self.took(mark, 0, 0);
            }
            Progress::Unfinished => return self.broken(found),
        }
        Ok(None)
    }

    /// What to do about a file that holds other content than what was read from it.
    fn forget(&mut self, seen: &Seen) -> Result<()> {
        let (path, stream) = (&seen.found.path, &self.stream.outline.name);
        match self.stream.on_rewrite {
            OnRewrite::Reread => {
                tracing::warn!(%stream, file = %path, "the file was rewritten: reading it again");
                self.cursor.files.retain(|mark| mark.gone || &mark.path != path);
                self.unmarked.moved = true;
                Ok(())
            }
            OnRewrite::Stop => Err(Error::conflict(format!(
                "`{path}` of stream `{stream}` no longer holds what was read from it, and no other file does"
            ))
            .hint(
                "restore the file, give the new content a new name, set `on_rewrite: reread` to read it again from its \
                 beginning, or run `tidemark resync FILE --stream STREAM` to read every file of the stream again",
            )),
        }
    }

    /// How long until the unfinished end of `found` is taken as it is.
    fn rest(&mut self, found: &Found) -> Option<Duration> {
        let at_rest = if self.cx.until_caught_up { AT_REST_IN_PASSING } else { AT_REST };
        self.watch.rest(found, at_rest, self.cx.world.now())
    }

    fn unfinished(&mut self, found: &Found) -> Result<Option<Duration>> {
        match self.rest(found) {
            Some(rest) => Ok(Some(rest)),
            None => self.broken(found),
        }
    }

    /// A file at rest whose end is not whole: it may be completed one day, but not in this run if it is to end.
    fn broken(&mut self, found: &Found) -> Result<Option<Duration>> {
        let (path, stream) = (&found.path, &self.stream.outline.name);
        if !self.cx.until_caught_up {
            tracing::debug!(%stream, file = %path, "the file does not end with a whole record: waiting for more");
            self.watch.put_aside(found);
            return Ok(None);
        }
        Err(Error::data(format!("`{path}` of stream `{stream}` does not end with a whole record")).hint(
            "complete its last record (a quote or bracket is open, or fields are missing), or copy the file again",
        ))
    }

    /// Notes what has been handed over.
    fn took(&mut self, mark: Mark, rows: usize, bytes: usize) {
        if mark.offset > 0 {
            self.unmarked.moved |= self.cursor.put(mark);
        }
        self.cursor.columns = self.table.known().clone();
        self.unmarked.rows += rows;
        self.unmarked.bytes += bytes;
    }

    /// Commits what was handed over since the last boundary, with where that brought the cursor.
    async fn boundary(&mut self) -> Result<()> {
        if self.unmarked.rows == 0 && !self.unmarked.moved {
            return Ok(());
        }
        // Files need no acknowledgement: nobody waits for the ticket.
        self.lane.boundary(self.cursor.to_bytes()?, None).await?;
        self.unmarked = Unmarked::default();
        Ok(())
    }

    /// Everything the stream had has been read: what comes from now on are changes.
    async fn end_initial_sync(&mut self) -> Result<()> {
        if self.cursor.initial_sync_done {
            return Ok(());
        }
        if self.cursor.is_anew() {
            // Files are read one after another, in one lane: nothing of the stream waits for what was read before it.
            let (stream, generation) = (self.stream.outline.name.clone(), self.cursor.generation);
            let (range, point) = (KeyRange::default(), Vec::new());
            self.lane.note(SyncStep::Chunk { stream: stream.clone(), generation, range, point });
            self.lane.note(SyncStep::Done { stream, generation });
        }
        self.cursor.initial_sync_done = true;
        let ticket = self.lane.boundary(self.cursor.to_bytes()?, None).await?;
        self.unmarked = Unmarked::default();
        // In the commit that completes the generation, changes would still count as what waited for it: they have to come later.
        ticket.durable().await?;
        self.lane = self.out.lane(PartId::new(self.stream.outline.name.as_str()), Phase::Changes);
        Ok(())
    }
}

/// Which file is under which name.
fn identities(files: &[Seen]) -> HashSet<(&str, Option<(u64, u64)>)> {
    files.iter().map(|seen| (seen.found.path.as_str(), seen.found.inode)).collect()
}
