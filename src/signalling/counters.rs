//! What a signalling shard has done and refused, by name.

use crate::counters::counters;

counters! {
    /// Counts since start.
    pub struct Counters {
        /// Every count with its name.
        fn named {
            connections_accepted,
            /// WebSocket handshakes answered.
            websockets_opened,
            /// HTTP requests answered.
            http_requests,
            /// Messages received, over WebSocket or HTTP.
            messages_received,
            /// Janus requests, well-formed or not.
            requests,
            /// Words to other signalling shards.
            relays_sent,
            /// Core errors sent.
            core_errors,
            /// Plugin errors sent.
            plugin_errors,
            sessions_created,
            /// Sessions that were idle for too long.
            sessions_timed_out,
            /// Sessions whose WebSocket was lost and that could be claimed from then on.
            sessions_lost,
            /// Those that were not claimed in time.
            sessions_unclaimed,
            /// Sessions moved to another connection, or claimed by their own.
            sessions_claimed,
            /// Events made for event handlers.
            handler_events,
            /// Events delivered to handles.
            events_delivered,
            /// Commands given to media shards, repeated ones included.
            commands_sent,
            /// Teardowns and releases that had to be sent again.
            duties_repeated,
        }
    }
}

counters! {
    /// Counts of what was dropped or refused, each with its reason in the name.
    pub struct Drops {
        /// Every count with its name.
        fn named {
            /// `connections_max` is reached, or the server is draining.
            connection_refused,
            /// A client that does not read.
            outbox_overflow,
            /// A client that sent too much behind an HTTP request that is being answered.
            inbox_overflow,
            /// A connection that never said anything.
            connection_silent,
            /// An HTTP request that was not complete in time.
            http_request_timeout,
            /// An HTTP request that was not understood.
            http_request_malformed,
            /// A connection to a TLS port that does not begin with TLS.
            tls_not_spoken,
            /// A TLS handshake that came to nothing.
            tls_handshake_failed,
            /// A TLS handshake that was not complete in time.
            tls_handshake_timeout,
            /// A connection whose TLS records went wrong.
            tls_broken,
            /// A handshake without the right version, key or subprotocol.
            websocket_refused,
            /// What a WebSocket must not carry: a message that is too large, text that is not UTF-8, wrong frames.
            websocket_violation,
            /// A WebSocket that did not answer a ping.
            websocket_silent,
            /// A message that is not a sequence of JSON documents.
            message_malformed,
            /// A command that found its lane full.
            lane_full,
            /// A word to another signalling shard that found its lane full.
            relay_lane_full,
            /// A media shard that did not answer in time.
            reply_missing,
            /// A reply whose ticket is gone: late or repeated.
            reply_late,
            /// A reply that does not belong to its command.
            reply_unexpected,
            /// Sessions closed because a media shard could not deliver their events.
            events_lost,
            /// An event for a handle that is gone.
            event_without_handle,
            /// An event for a session whose WebSocket is lost.
            event_without_connection,
            /// An answer that was longer than its client could take.
            answer_too_long,
            /// A session ended because nobody fetched its events.
            poll_queue_overflow,
            /// An answer whose HTTP request has been given up.
            answer_late,
            /// A request over HTTP that was not answered in time.
            answer_missing,
            /// A request in the name of a page that may not ask.
            origin_refused,
            /// A request on the operators' path from where no operator may come.
            operator_refused,
            /// A request beyond the waiting ones of its handle.
            handle_queue_full,
            /// A configured room that was refused.
            static_room_refused,
            /// A core event `update` that would not have been of all shards: some did not answer in time.
            update_incomplete,
            /// A room that was to be permanent, or no more, and is not: the rooms file was not written.
            room_not_written,
        }
    }
}
