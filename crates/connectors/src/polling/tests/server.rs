//! A server with records that change while they are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidemark_engine::change::Value;

use super::world::{Chance, Hands};

/// How a server gives its records page by page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By key; the next page begins behind the last key.
    Keys,
    /// By mark and key, likewise.
    Marks,
    /// By key; the next page begins after so many records.
    Offset,
    /// By mark, likewise.
    OffsetOfMarks,
}

/// What a server does.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    pub(super) order: Order,
    /// Records on a page.
    pub(super) size: u64,
    /// How many keys there can be.
    pub(super) keys: u64,
    /// Whether pages may be short, or empty with more behind them, and repeat a record of the page before.
    pub(super) is_untidy: bool,
    /// Whether marks are moments.
    pub(super) tells_time: bool,
    /// How far back a record may appear late.
    pub(super) late: u64,
    pub(super) deletes: bool,
    /// Whether a change tells only the columns that have changed.
    pub(super) sparse: bool,
    /// Whether columns come and go, and change their kinds.
    pub(super) drifts: bool,
}

/// A record, without its key: columns and JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) mark: u64,
    pub(super) fields: BTreeMap<&'static str, String>,
}

/// Something that happened to a record.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) key: u64,
    /// The columns that changed; `None`: it was deleted.
    pub(super) columns: Option<BTreeSet<&'static str>>,
}

/// The records, and what happens to them.
pub(super) struct Server {
    pub(super) habits: Habits,
    pub(super) chance: Chance,
    pub(super) rows: BTreeMap<u64, Row>,
    pub(super) events: Vec<Event>,
    /// Whether records change while they are read, and answers fail.
    pub(super) is_restless: bool,
    /// For how many pages more.
    pub(super) patience: u64,
    /// Tokens of pages say under which number they were given out; those of others have expired.
    pub(super) epoch: u64,
    /// Of events before this one the server tells nothing any more.
    pub(super) forgotten: usize,
    /// How many pages were asked for.
    pub(super) asked: u64,
    clock: Hands,
    skew: i64,
    counted: u64,
    contents: u64,
    late: Vec<(u64, Row)>,
}

impl Server {
    pub(super) fn new(habits: Habits, seed: u64, clock: Hands) -> Self {
        let mut chance = Chance::new(seed);
        let skew = i64::try_from(chance.below(100 * 60_000_000)).unwrap() - 50 * 60_000_000;
        Self {
            habits,
            chance,
            rows: BTreeMap::new(),
            events: Vec::new(),
            is_restless: true,
            patience: 0,
            epoch: 0,
            forgotten: 0,
            asked: 0,
            clock,
            skew,
            counted: 0,
            contents: 0,
            late: Vec::new(),
        }
    }

    pub(super) fn set_clock(&mut self, clock: Hands) {
        self.clock = clock;
    }

    /// What a new mark would be.
    fn mark(&mut self) -> u64 {
        if self.habits.tells_time {
            self.clock.advance(Duration::from_secs(self.chance.below(1_200)));
            return u64::try_from(self.clock.micros() + self.skew).unwrap();
        }
        // Some share theirs.
        self.counted += self.chance.below(2);
        self.counted
    }

    fn fields(&mut self) -> BTreeMap<&'static str, String> {
        self.contents += 1;
        let number = self.contents;
        let mut fields = BTreeMap::from([("number", number.to_string())]);
        if self.habits.drifts {
            match self.chance.below(12) {
                0 => _ = fields.insert("number", format!("\"n{number}\"")),
                1 => _ = fields.insert("number", format!("{number}.5")),
                _ => {}
            }
        }
        if self.chance.one_in(2) {
            fields.insert("note", format!("\"note {number}\""));
        }
        if self.habits.drifts && number > 20 && self.chance.one_in(3) {
            fields.insert("later", "true".to_owned());
        }
        fields
    }

    /// Something happens.
    pub(super) fn change(&mut self) {
        let mark = self.mark();
        let most = self.habits.late;
        self.commit_late(|of| mark - of > most);
        // A token that names 0 stands before all.
        let key = 1 + self.chance.below(self.habits.keys);
        let known: Vec<u64> = self.rows.keys().copied().collect();
        let one = known.get(self.chance.below(known.len() as u64) as usize).copied();
        match (self.chance.below(10), one) {
            (0 | 1, Some(key)) if self.habits.deletes => {
                self.rows.remove(&key);
                self.events.push(Event { key, columns: None });
            }
            (2, Some(key)) if self.habits.late > 0 && !self.late.iter().any(|(of, _)| *of == key) => {
                let fields = self.fields();
                self.late.push((key, Row { mark, fields }));
            }
            (3..=6, Some(key)) => self.put(key, mark),
            _ => self.put(key, mark),
        }
        if self.chance.one_in(3) {
            self.commit_late(|of| mark - of > most / 2);
        }
    }

    fn put(&mut self, key: u64, mark: u64) {
        let mut fields = self.fields();
        let before = self.rows.get(&key).map(|row| row.fields.clone());
        if self.habits.sparse
            && let Some(before) = &before
        {
            // What a change does not tell stays; what it takes away, it says.
            let (one, kept) = if self.chance.one_in(2) { ("number", "note") } else { ("note", "number") };
            fields.entry("note").or_insert_with(|| "null".to_owned());
            fields.retain(|name, _| *name == one);
            fields.extend(before.get_key_value(kept).map(|(name, json)| (*name, json.clone())));
        }
        let differs =
            |name: &&'static str| before.as_ref().is_none_or(|before| before.get(name) != fields.get(name));
        let mut columns: BTreeSet<_> = fields.keys().copied().filter(differs).collect();
        columns.insert("mark");
        self.events.push(Event { key, columns: Some(columns) });
        self.rows.insert(key, Row { mark, fields });
    }

    /// What was under way appears, with the mark it got when it began.
    fn commit_late(&mut self, is_due: impl Fn(u64) -> bool) {
        let (due, late) = std::mem::take(&mut self.late).into_iter().partition(|(_, row)| is_due(row.mark));
        self.late = late;
        let due: Vec<(u64, Row)> = due;
        for (key, row) in due {
            // Whoever came later has won.
            if self.rows.get(&key).is_none_or(|now| now.mark < row.mark) {
                self.rows.insert(key, row);
            }
        }
    }

    /// Nothing happens any more.
    pub(super) fn come_to_rest(&mut self) {
        self.is_restless = false;
        self.commit_late(|_| true);
    }

    /// The text of a mark.
    pub(super) fn mark_text(&self, mark: u64) -> String {
        match self.habits.tells_time {
            true => Value::TimestampTz(i64::try_from(mark).unwrap()).to_string(),
            false => mark.to_string(),
        }
    }

    /// A record as JSON, with these columns or all.
    pub(super) fn json(&self, key: u64, row: &Row, columns: Option<&BTreeSet<&'static str>>) -> String {
        let mark = match self.habits.tells_time {
            true => format!("\"{}\"", self.mark_text(row.mark)),
            false => row.mark.to_string(),
        };
        let fields = row.fields.iter().chain([(&"mark", &mark)]);
        let told = fields.filter(|(name, _)| columns.is_none_or(|columns| columns.contains(*name)));
        let told: Vec<_> = told.map(|(name, json)| format!(", \"{name}\": {json}")).collect();
        format!("{{\"id\": {key}{}}}", told.concat())
    }

    /// Every record as text, by key.
    pub(super) fn image(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let text = |json: &String| json.trim_matches('"').to_owned();
        let rows = self.rows.iter().map(|(key, row)| {
            let fields = row.fields.iter().filter(|(_, json)| *json != "null");
            let mut columns: BTreeMap<_, _> =
                fields.map(|(name, json)| ((*name).to_owned(), text(json))).collect();
            columns.insert("id".into(), key.to_string());
            columns.insert("mark".into(), self.mark_text(row.mark));
            (key.to_string(), columns)
        });
        rows.collect()
    }
}
