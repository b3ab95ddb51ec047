// Package flow is the conversation as a pure function: menu, session, message and what the world answered go in; the next
// session, the screens to show and at most one order come out. It does no IO, keeps no clock, and holds nothing.
//
// A session is the road a person took: one Hop for each accepted input, choices of nodes and values of parameters as they
// came. Where they stand follows from the hops alone, so going back is dropping the last one, and the path that is shown
// in Redis is the typed inputs in their order.
//
// Beside the hops stands the screen that was last shown, with its list. A typed number, or a pressed button, means a line
// of that stored list and nothing else; lists are asked for again only when a screen is opened or narrowed, never when a
// number is read. An order needs the stored screen to be the confirm, and the message to be exactly 1, or the code that
// was shown, and no older than that screen. What changes nothing needs no confirm: a report is ordered as soon as its arguments
// are known, and the dry run of a confirm leaves that standing; order.go.
//
//	root ── number ──► list of nodes ── number ──► road: list, input, custom ─ value ─► confirm ─ 1 or code ─► order
//	  ▲                     │ ▲                          ▲                                │  │                    │
//	  │                     │ │                          └── number: change that value ───┘  │                    │
//	  └──────── 00 ─────────┘ └──────────────────── back in the list that holds the road ◄───┴────────────────────┘
//
// What is known beyond the place one stands at, because a form is being changed, found, or given again, waits in
// Session.Ahead; road.go says how it is followed. Rooms (search, recent orders, favourites, tasks) lie over the screen of
// the road and leave it as it was; rooms.go. Rights, conditions and freezes are asked at every step; rights.go.
//
// Whatever is not understood shows the same screen again with one line that says why; nothing is lost by it.
package flow
