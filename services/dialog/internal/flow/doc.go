// Package flow is the conversation as a pure function: menu, session, message and what the world answered go in; the next
// session, the screens to show and at most one order come out. It does no IO, keeps no clock, and holds nothing.
//
// A session is the road a person took: one Hop for each accepted input. Where they stand follows from the hops alone, so
// going back is dropping the last one, and the path that is shown in Redis is the typed inputs in their order.
//
// Beside the hops stands the screen that was last shown, with its list. A typed number means a line of that stored list
// and nothing else; lists are asked for again only when a screen is opened, never when a number is read. An order needs
// the stored screen to be the confirm, and the message to be exactly 1 and no older than that screen.
//
//	root ── number ──► list of nodes ── number ──► road: dynamic ─ number ─► input ─ value ─► confirm ─ 1 ─► order
//	  ▲                     │ ▲                                                                            │
//	  └──────── 00 ─────────┘ └───────────────────────────── back in the list that holds the road ◄────────┘
//
// Whatever is not understood shows the same screen again with one line that says why; nothing is lost by it.
package flow
