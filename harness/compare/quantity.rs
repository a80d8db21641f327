//! The compared quantities: each with its name, its unit, and which way is better.

use serde::{Deserialize, Serialize};

crate::named::named! {
    /// A quantity of one start of one side.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum Quantity {
        /// Connections opened for the calls of one start
        ConnectionsOpened = "connections-opened",
        /// Fewest calls on a connection
        CallsPerConnectionLeast = "calls-per-connection-least",
        /// Median of the calls on a connection
        CallsPerConnection = "calls-per-connection",
        /// TLS handshakes with a whole key exchange
        TlsFull = "tls-full",
        /// TLS handshakes that resumed a session
        TlsResumed = "tls-resumed",
        /// Calls that failed
        Errors = "errors",
        /// Most descriptors that the subject had open
        DescriptorsPeak = "descriptors-peak",
        /// Descriptors that stay open in the subject after 1000 calls
        #[serde(rename = "descriptors-per-1000-calls")]
        DescriptorsPer1000Calls = "descriptors-per-1000-calls",
        /// Sockets left in TIME_WAIT, each of which keeps a source port busy for 60 s
        TimeWait = "time-wait",
        /// Source ports that are busy when the calls are over: of open connections, and in TIME_WAIT
        SourcePorts = "source-ports",
        /// Calls a second
        CallsPerS = "calls-per-s",
        /// CPU of the subject, microseconds a call
        CpuUsPerCall = "cpu-us-per-call",
        /// CPU of lastfd's own side (its clients, or its upstream), microseconds a call
        PeerCpuUsPerCall = "peer-cpu-us-per-call",
        /// From the intended time of a call to its start, at a rate: median, milliseconds
        QueuedP50 = "queued-p50",
        /// The same: 99 calls of 100 waited no longer
        QueuedP99 = "queued-p99",
        /// Time to connect, median, milliseconds
        ConnectP50 = "connect-p50",
        /// 99 connects of 100 took no longer, milliseconds
        ConnectP99 = "connect-p99",
        /// TLS handshakes of a call, median, milliseconds
        TlsP50 = "tls-p50",
        /// The same: 99 calls of 100 took no longer
        TlsP99 = "tls-p99",
        /// From the request to the head of its answer, over HTTP: median, milliseconds
        FirstByteP50 = "first-byte-p50",
        /// The same: 99 calls of 100 waited no longer
        FirstByteP99 = "first-byte-p99",
        /// Time of a call, median, milliseconds
        P50 = "p50",
        /// Nine calls of ten took no longer, milliseconds
        P90 = "p90",
        /// 99 calls of 100 took no longer, milliseconds
        P99 = "p99",
        /// 999 calls of 1000 took no longer, milliseconds
        #[serde(rename = "p99.9")]
        P999 = "p99.9",
        /// Most memory that the subject had resident, MiB
        MemoryMib = "memory-mib",
    }
}

/// How two values of a quantity are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// By their ratio: both are above zero.
    Ratio,
    /// By their difference: zero is a value like any other.
    Difference,
}

impl Quantity {
    /// Whether less of it is better.
    pub fn less_is_better(self) -> bool {
        !matches!(
            self,
            Quantity::CallsPerS
                | Quantity::CallsPerConnection
                | Quantity::CallsPerConnectionLeast
                | Quantity::TlsResumed
        )
    }

    /// How its values are compared.
    pub fn scale(self) -> Scale {
        match self {
            Quantity::TlsFull
            | Quantity::TlsResumed
            | Quantity::Errors
            | Quantity::DescriptorsPer1000Calls
            | Quantity::TimeWait
            | Quantity::SourcePorts => Scale::Difference,
            _ => Scale::Ratio,
        }
    }

    /// Whether it says something about the machine, too: another machine has another value.
    pub fn of_machine(self) -> bool {
        let times = matches!(self, Quantity::CallsPerS | Quantity::CpuUsPerCall | Quantity::PeerCpuUsPerCall);
        times || self.tail().is_some()
    }

    /// Whether it decides when a comparison may stop, if no bound says otherwise.
    pub fn gates(self) -> bool {
        matches!(self, Quantity::CallsPerS | Quantity::CpuUsPerCall | Quantity::P50)
    }

    /// The share of calls that a percentile leaves above it.
    pub fn tail(self) -> Option<f64> {
        match self {
            Quantity::P50
            | Quantity::QueuedP50
            | Quantity::ConnectP50
            | Quantity::TlsP50
            | Quantity::FirstByteP50 => Some(0.5),
            Quantity::P90 => Some(0.1),
            Quantity::P99
            | Quantity::QueuedP99
            | Quantity::ConnectP99
            | Quantity::TlsP99
            | Quantity::FirstByteP99 => Some(0.01),
            Quantity::P999 => Some(0.001),
            _ => None,
        }
    }
}
