//! One client's connection: part 2 of the specification, as far as clients of Service Bus use it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    claims,
    link::{Given, Incoming, Link, Outgoing, lock_token},
    message::{self, Sections},
    queues::{Queues, Verdict},
    value::Value,
    wire::{AMQP, Frame, SASL, Wire},
};

const CBS: &str = "$cbs";
/// How many messages clients may send before they are told that they may send more.
const CREDIT: u32 = 1000;
/// Larger than any window that is ever used up.
const WINDOW: u32 = 0x3fff_ffff;
const LARGEST_FRAME: u32 = 64 << 10;
const SIGNS_OF_LIFE: Duration = Duration::from_secs(10);

/// A client's connection.
pub(super) struct Peer {
    wire: Wire,
    queues: Arc<Queues>,
    /// By channel and handle. The client's numbers are ours too.
    links: BTreeMap<(u16, u32), Link>,
    /// Transfers that came, and that went, by channel.
    came: BTreeMap<u16, u32>,
    went: BTreeMap<u16, u32>,
    /// Where the client may send to.
    allowed: BTreeSet<String>,
    given: Vec<Given>,
}

impl Peer {
    /// Serves it until it goes, or the service does.
    pub(super) fn serve(socket: TcpStream, queues: Arc<Queues>) {
        let Ok(wire) = Wire::new(socket) else { return };
        let mut peer = Self {
            wire,
            queues,
            links: BTreeMap::new(),
            came: BTreeMap::new(),
            went: BTreeMap::new(),
            allowed: BTreeSet::new(),
            given: Vec::new(),
        };
        // Whoever goes away without a word has nobody to be told.
        let _ = peer.talk();
        for given in std::mem::take(&mut peer.given) {
            given.put_back(&peer.queues);
        }
    }

    fn talk(&mut self) -> io::Result<()> {
        self.greet()?;
        let mut alive = Instant::now();
        loop {
            if self.queues.state().is_down {
                return Ok(());
            }
            if let Some(frame) = self.wire.next()?
                && !self.hear(frame)?
            {
                return Ok(());
            }
            self.give()?;
            if alive.elapsed() > SIGNS_OF_LIFE {
                self.wire.sign_of_life()?;
                alive = Instant::now();
            }
        }
    }

    /// SASL, which lets anybody in: who they are, tokens say.
    fn greet(&mut self) -> io::Result<()> {
        if self.wire.header()? != *SASL {
            return Err(ErrorKind::InvalidData.into());
        }
        self.wire.write_header(SASL)?;
        let mechanisms = ["MSSBCBS", "ANONYMOUS"].map(Value::symbol).to_vec();
        self.wire.send_sasl(&Value::described(0x40, vec![Value::Array(mechanisms)]))?;
        let chosen = self.wire.wait()?.performative;
        let is_known = matches!(chosen.field(0).as_text(), Some("MSSBCBS" | "ANONYMOUS"));
        self.wire.send_sasl(&Value::described(0x44, vec![Value::Ubyte(u8::from(!is_known))]))?;
        if !is_known || self.wire.header()? != *AMQP {
            return Err(ErrorKind::InvalidData.into());
        }
        self.wire.write_header(AMQP)
    }

    /// Whether there is more to come.
    fn hear(&mut self, frame: Frame) -> io::Result<bool> {
        let Frame { channel, performative, payload } = frame;
        let Value::Described(descriptor, _) = &performative else {
            return Err(ErrorKind::InvalidData.into());
        };
        match descriptor {
            0x10 => self.open(&performative)?,
            0x11 => self.begin(channel)?,
            0x12 => self.attach(channel, &performative)?,
            0x13 => self.flow(channel, &performative)?,
            0x14 => return self.transfer(channel, &performative, payload),
            0x15 => self.disposition(channel, &performative)?,
            0x16 => {
                let handle = handle(&performative);
                self.links.remove(&(channel, handle));
                let answer = vec![Value::Uint(handle), performative.field(1).clone()];
                self.wire.send(channel, &Value::described(0x16, answer))?;
            }
            0x17 => self.wire.send(channel, &Value::described(0x17, Vec::new()))?,
            0x18 => {
                self.wire.send(channel, &Value::described(0x18, Vec::new()))?;
                return Ok(false);
            }
            _ => return Err(ErrorKind::InvalidData.into()),
        }
        Ok(true)
    }

    fn open(&mut self, told: &Value) -> io::Result<()> {
        let largest = told.field(2).as_number().unwrap_or(u64::from(LARGEST_FRAME));
        self.wire.largest = usize::try_from(largest.min(u64::from(LARGEST_FRAME))).unwrap();
        let fields = vec![
            Value::text("the-double"),
            Value::Null,
            Value::Uint(LARGEST_FRAME),
            Value::Ushort(4999),
            Value::Uint(240_000),
        ];
        self.wire.send(0, &Value::described(0x10, fields))
    }

    fn begin(&mut self, channel: u16) -> io::Result<()> {
        let fields = vec![
            Value::Ushort(channel),
            Value::Uint(0),
            Value::Uint(WINDOW),
            Value::Uint(WINDOW),
            Value::Uint(255),
        ];
        self.wire.send(channel, &Value::described(0x11, fields))
    }

    fn attach(&mut self, channel: u16, told: &Value) -> io::Result<()> {
        let (name, handle) = (told.field(0).clone(), told.field(1).as_number().unwrap_or_default() as u32);
        let client_receives = told.field(2).is_true();
        let terminus = told.field(if client_receives { 5 } else { 6 });
        let address = terminus.field(0).as_text().unwrap_or_default().to_owned();
        let address = address.split_once("://").map_or(address.clone(), |(_, rest)| {
            rest.split_once('/').map(|(_, path)| path.to_owned()).unwrap_or_default()
        });
        let refusal = self.refusal(&address);
        let mut fields = vec![
            name,
            Value::Uint(handle),
            Value::Bool(!client_receives),
            told.field(3).clone(),
            told.field(4).clone(),
            told.field(5).clone(),
            told.field(6).clone(),
        ];
        if refusal.is_some() {
            fields[5] = Value::Null;
            fields[6] = Value::Null;
        }
        fields.extend([Value::Null, Value::Null]);
        fields.push(if client_receives { Value::Uint(0) } else { Value::Null });
        let (largest, batch) = {
            let state = self.queues.state();
            (state.largest_message, state.largest_batch)
        };
        let told_batch =
            |bytes| vec![(Value::symbol("com.microsoft:max-message-batch-size"), Value::Ulong(bytes))];
        fields.extend([Value::Ulong(largest), Value::Null, Value::Null]);
        fields.push(batch.map_or(Value::Null, |bytes| Value::Map(told_batch(bytes))));
        self.wire.send(channel, &Value::described(0x12, fields))?;
        if let Some(condition) = refusal {
            return self.detach(channel, handle, condition);
        }
        let to = told.field(6).field(0).as_text().unwrap_or_default().to_owned();
        let link = match client_receives {
            true => Link::Outgoing(Outgoing { address, to, credit: 0, count: 0 }),
            false => Link::Incoming(Incoming::new(address)),
        };
        let takes = matches!(link, Link::Incoming(_));
        self.links.insert((channel, handle), link);
        if takes { self.allow(channel, handle, 0) } else { Ok(()) }
    }

    /// Why a link to that place cannot be.
    fn refusal(&self, address: &str) -> Option<&'static str> {
        if address == CBS {
            return None;
        }
        let state = self.queues.state();
        let Some(queue) = state.queues.get(address) else { return Some("amqp:not-found") };
        let is_allowed = self.allowed.contains(address) || self.allowed.contains("");
        match (is_allowed, queue.is_disabled) {
            (false, _) => Some("amqp:unauthorized-access"),
            (true, true) => Some("com.microsoft:entity-disabled"),
            (true, false) => None,
        }
    }

    fn detach(&mut self, channel: u16, handle: u32, condition: &str) -> io::Result<()> {
        self.links.remove(&(channel, handle));
        let fields = vec![Value::Uint(handle), Value::Bool(true), error(condition)];
        self.wire.send(channel, &Value::described(0x16, fields))
    }

    /// Lets the client send more.
    fn allow(&mut self, channel: u16, handle: u32, count: u32) -> io::Result<()> {
        self.send_flow(channel, &[Value::Uint(handle), Value::Uint(count), Value::Uint(CREDIT)])
    }

    fn send_flow(&mut self, channel: u16, link: &[Value]) -> io::Result<()> {
        let came = self.came.get(&channel).copied().unwrap_or_default();
        let went = self.went.get(&channel).copied().unwrap_or_default();
        let mut fields = vec![Value::Uint(came), Value::Uint(WINDOW), Value::Uint(went), Value::Uint(WINDOW)];
        fields.extend(link.iter().cloned());
        self.wire.send(channel, &Value::described(0x13, fields))
    }

    fn flow(&mut self, channel: u16, told: &Value) -> io::Result<()> {
        let Some(handle) = told.field(4).as_number() else { return Ok(()) };
        let handle = handle as u32;
        let Some(Link::Outgoing(link)) = self.links.get_mut(&(channel, handle)) else { return Ok(()) };
        let seen = told.field(5).as_number().unwrap_or_default() as u32;
        let credit = told.field(6).as_number().unwrap_or_default() as u32;
        link.credit = seen.wrapping_add(credit).wrapping_sub(link.count);
        self.give()?;
        let Some(Link::Outgoing(link)) = self.links.get_mut(&(channel, handle)) else { return Ok(()) };
        if !told.field(8).is_true() {
            return Ok(());
        }
        // What there is was given: the rest of the credit is used up.
        link.count = link.count.wrapping_add(link.credit);
        link.credit = 0;
        let (count, zero) = (Value::Uint(link.count), Value::Uint(0));
        self.send_flow(channel, &[Value::Uint(handle), count, zero.clone(), zero, Value::Bool(true)])
    }

    fn transfer(&mut self, channel: u16, told: &Value, payload: Vec<u8>) -> io::Result<bool> {
        *self.came.entry(channel).or_default() += 1;
        let handle = handle(told);
        let Some(Link::Incoming(link)) = self.links.get_mut(&(channel, handle)) else { return Ok(true) };
        let Some((id, format, whole)) = link.more(told, payload) else { return Ok(true) };
        let (address, count) = (link.address.clone(), link.count);
        if count % (CREDIT / 2) == 0 {
            self.allow(channel, handle, count)?;
        }
        if address == CBS {
            self.settle(channel, id, Value::described(0x24, Vec::new()))?;
            return self.claim(&whole).map(|()| true);
        }
        let is_too_large = whole.len() as u64 > self.queues.state().largest_message;
        if is_too_large {
            self.detach(channel, handle, "amqp:link:message-size-exceeded")?;
            return Ok(true);
        }
        let verdict = match message::messages(format, &whole) {
            Some(messages) => self.queues.state().take(&address, messages),
            None => Verdict::Rejected("amqp:decode-error"),
        };
        match verdict {
            Verdict::Accepted => self.settle(channel, id, Value::described(0x24, Vec::new()))?,
            Verdict::Rejected(condition) => {
                self.settle(channel, id, Value::described(0x25, vec![error(condition)]))?;
            }
            Verdict::Detached => self.detach(channel, handle, "amqp:link:detach-forced")?,
            Verdict::CutOff => return Ok(false),
        }
        Ok(true)
    }

    fn settle(&mut self, channel: u16, id: u32, state: Value) -> io::Result<()> {
        let number = Value::Uint(id);
        let fields = vec![Value::Bool(true), number.clone(), number, Value::Bool(true), state];
        self.wire.send(channel, &Value::described(0x15, fields))
    }

    /// Answers a request at `$cbs` on the link to the address that it names.
    fn claim(&mut self, request: &[u8]) -> io::Result<()> {
        let request = Sections::read(request).ok_or(ErrorKind::InvalidData)?;
        let (status, place) = claims::answer(&request);
        if let Some(place) = place {
            self.queues.state().tokens.push(place.clone());
            self.allowed.insert(place);
        }
        let reply_to = request.property(4).and_then(Value::as_text).unwrap_or_default();
        let correlation = request.property(0).cloned().unwrap_or(Value::Null);
        let properties = vec![Value::Null, Value::Null, Value::Null, Value::Null, Value::Null, correlation];
        let described = if status < 300 { "Accepted" } else { "Unauthorized" };
        let told = Value::Map(vec![
            (Value::text("status-code"), Value::Int(status)),
            (Value::text("status-description"), Value::text(described)),
        ]);
        let mut reply = Vec::new();
        Value::described(0x73, properties).write(&mut reply);
        Value::Described(0x74, Box::new(told)).write(&mut reply);
        Value::Described(0x77, Box::new(Value::Null)).write(&mut reply);
        let is_reply = |link: &Link| matches!(link, Link::Outgoing(link) if link.address == CBS && (link.to == reply_to || link.to == CBS));
        let found = self.links.iter().find(|(_, link)| is_reply(link)).map(|(at, _)| *at);
        match found {
            Some((channel, handle)) => self.send_message(channel, handle, &[0], true, &reply).map(drop),
            None => Err(ErrorKind::InvalidData.into()),
        }
    }

    fn send_message(
        &mut self,
        channel: u16,
        handle: u32,
        tag: &[u8],
        is_settled: bool,
        message: &[u8],
    ) -> io::Result<u32> {
        let went = self.went.entry(channel).or_default();
        let id = *went;
        *went += 1;
        if let Some(Link::Outgoing(link)) = self.links.get_mut(&(channel, handle)) {
            link.count = link.count.wrapping_add(1);
            link.credit = link.credit.saturating_sub(1);
        }
        let fields = [
            Value::Uint(handle),
            Value::Uint(id),
            Value::Binary(tag.to_vec()),
            Value::Uint(0),
            Value::Bool(is_settled),
        ];
        self.wire.transfer(channel, &fields, message)?;
        Ok(id)
    }

    /// Gives what waits to those who want it.
    fn give(&mut self) -> io::Result<()> {
        let wanting = |(at, link): (&(u16, u32), &Link)| match link {
            Link::Outgoing(link) if link.credit > 0 && link.address != CBS => {
                Some((*at, link.address.clone()))
            }
            _ => None,
        };
        let wanting: Vec<_> = self.links.iter().filter_map(wanting).collect();
        for ((channel, handle), address) in wanting {
            while matches!(self.links.get(&(channel, handle)), Some(Link::Outgoing(link)) if link.credit > 0)
            {
                let message =
                    self.queues.state().queues.get_mut(&address).and_then(|queue| queue.waiting.pop_front());
                let Some(message) = message else { break };
                let tag = lock_token(self.went.get(&channel).copied().unwrap_or_default());
                let id = self.send_message(channel, handle, &tag, false, &message.encoded)?;
                self.given.push(Given { channel, id, queue: address.clone(), message });
            }
        }
        Ok(())
    }

    /// What was accepted is gone; everything else waits again. A client that leaves it to the service to settle is told.
    fn disposition(&mut self, channel: u16, told: &Value) -> io::Result<()> {
        let first = told.field(1).as_number().unwrap_or_default() as u32;
        let last = told.field(2).as_number().map_or(first, |last| last as u32);
        let is_accepted = matches!(told.field(4), Value::Described(0x24, _));
        let (named, others) = std::mem::take(&mut self.given)
            .into_iter()
            .partition(|given: &Given| given.channel == channel && (first..=last).contains(&given.id));
        self.given = others;
        for given in named.into_iter().filter(|_: &Given| !is_accepted) {
            given.put_back(&self.queues);
        }
        if told.field(3).is_true() {
            return Ok(());
        }
        let (first, last) = (Value::Uint(first), Value::Uint(last));
        let fields = vec![Value::Bool(false), first, last, Value::Bool(true), told.field(4).clone()];
        self.wire.send(channel, &Value::described(0x15, fields))
    }
}

fn handle(told: &Value) -> u32 {
    told.field(0).as_number().unwrap_or_default() as u32
}

fn error(condition: &str) -> Value {
    Value::described(0x1d, vec![Value::symbol(condition), Value::text("as the double was told")])
}
