// Package stats turns the engine's events into numbers.
//
// A [Recorder] counts all events of a process, by cache, kind and layer, and knows how logs, filters and
// breakers stand; plug its Observer into the Options of caches and stores and read it with Snapshot. A [Trace]
// holds what one request did to its caches, in order: put one into the request's context with WithTrace and the
// recorder's observer fills it. A [Monitor] does that for each HTTP request, and tells the result in a Server-Timing header and a
// log record; nethttpmw, ginmw and echomw bring it to the frameworks.
//
// Nothing here knows the engine: the package sees events only. Keys appear in traces and never in counts.
package stats
