//! A stream of packets: each stands for itself, so nothing is held back but names.

use std::io::{self, Write};

use prost::{
    Message,
    encoding::{WireType, encode_key},
};
use rustc_hash::FxHashMap;

use super::proto::{
    Annotated, Data, DebugAnnotation, Interned, InternedData, TracePacket, TracePacketDefaults,
    TrackDescriptor, TrackEvent, clock, event_type, sequence_flags,
};

/// How many names are told before all are forgotten and told anew.
const NAMES: usize = 4096;

/// Our one sequence of packets.
const SEQUENCE: u32 = 1;

/// Field number of `Trace.packet`.
const PACKET: u32 = 1;

/// Writes packets.
pub(super) struct Packets<W> {
    to: W,
    bytes: Vec<u8>,
    names: FxHashMap<Box<str>, u64>,
    failed: Option<io::Error>,
}

/// An event on a track, beside its time.
#[derive(Clone, Debug, Default)]
pub(super) struct On<'a> {
    /// The track.
    pub(super) track: u64,
    /// What it is called.
    pub(super) name: &'a str,
    /// What else there is to say.
    pub(super) notes: Vec<DebugAnnotation>,
    /// The flow that goes on from here.
    pub(super) flow: Option<u64>,
    /// The flow that ends here.
    pub(super) flow_ends: Option<u64>,
}

/// A note on an event.
pub(super) fn note(name: &str, value: Annotated) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        value: Some(value),
        ..DebugAnnotation::default()
    }
}

impl<W: Write> Packets<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, bytes: Vec::new(), names: FxHashMap::default(), failed: None }
    }

    /// Whether something could not be written.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The first error, or that all is handed on.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.to.flush(),
        }
    }

    fn write(&mut self, packet: &TracePacket) {
        if self.failed.is_some() {
            return;
        }
        self.bytes.clear();
        encode_key(PACKET, WireType::LengthDelimited, &mut self.bytes);
        // A Vec takes everything.
        let _ = packet.encode_length_delimited(&mut self.bytes);
        self.failed = self.to.write_all(&self.bytes).err();
    }

    /// What needs no names and has its own times.
    pub(super) fn data(&mut self, data: Data) {
        self.write(&TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            data: Some(data),
            ..TracePacket::default()
        });
    }

    /// What needs no names, at this time.
    pub(super) fn data_at(&mut self, ts: u64, data: Data) {
        self.write(&TracePacket {
            timestamp: Some(ts),
            timestamp_clock_id: Some(clock::MONOTONIC),
            trusted_packet_sequence_id: Some(SEQUENCE),
            data: Some(data),
            ..TracePacket::default()
        });
    }

    /// A track, before its first event.
    pub(super) fn track(&mut self, track: TrackDescriptor) {
        self.data(Data::TrackDescriptor(track));
    }

    pub(super) fn begin(&mut self, ts: u64, on: On<'_>) {
        self.event(ts, event_type::SLICE_BEGIN, on, None);
    }

    pub(super) fn instant(&mut self, ts: u64, on: On<'_>) {
        self.event(ts, event_type::INSTANT, on, None);
    }

    /// Ends the slice that was begun last on the track and has not ended.
    pub(super) fn end(&mut self, ts: u64, track: u64, notes: Vec<DebugAnnotation>) {
        self.event(ts, event_type::SLICE_END, On { track, notes, ..On::default() }, None);
    }

    pub(super) fn counter(&mut self, ts: u64, track: u64, value: u64) {
        let on = On { track, ..On::default() };
        self.event(ts, event_type::COUNTER, on, Some(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn event(&mut self, ts: u64, kind: u32, on: On<'_>, counter_value: Option<i64>) {
        let On { track, name, notes, flow, flow_ends } = on;
        let mut packet = TracePacket {
            timestamp: Some(ts),
            trusted_packet_sequence_id: Some(SEQUENCE),
            sequence_flags: Some(sequence_flags::NEEDS_INCREMENTAL_STATE),
            ..TracePacket::default()
        };
        let name_iid = self.name(name, &mut packet);
        packet.data = Some(Data::TrackEvent(TrackEvent {
            debug_annotations: notes,
            r#type: Some(kind),
            name_iid,
            track_uuid: Some(track),
            counter_value,
            flow_ids: flow.into_iter().collect(),
            terminating_flow_ids: flow_ends.into_iter().collect(),
        }));
        self.write(&packet);
    }

    /// The number of a name; a new one is told by the packet itself.
    fn name(&mut self, name: &str, packet: &mut TracePacket) -> Option<u64> {
        if self.names.is_empty() || self.names.len() > NAMES {
            // From here on all is told anew: what a packet's time means, too.
            self.names.clear();
            self.names.insert("".into(), 0);
            packet.sequence_flags = Some(
                sequence_flags::INCREMENTAL_STATE_CLEARED | sequence_flags::NEEDS_INCREMENTAL_STATE,
            );
            packet.trace_packet_defaults =
                Some(TracePacketDefaults { timestamp_clock_id: Some(clock::MONOTONIC) });
        }
        if name.is_empty() {
            return None;
        }
        if let Some(&iid) = self.names.get(name) {
            return Some(iid);
        }
        let iid = self.names.len() as u64;
        self.names.insert(name.into(), iid);
        let interned = Interned { iid: Some(iid), name: Some(name.to_owned()) };
        packet.interned_data = Some(InternedData { event_names: vec![interned] });
        Some(iid)
    }
}
