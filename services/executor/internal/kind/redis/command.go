package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"palmops/services/executor/internal/fill"
)

// reads are the commands up to Redis 7.0 that only read, answer at once and do not walk through all keys.
var reads = strings.Fields(`BITCOUNT BITPOS DBSIZE EXISTS EXPIRETIME GEODIST GEOHASH GEOPOS GEOSEARCH GET GETBIT GETRANGE HEXISTS HGET HGETALL HKEYS HLEN HMGET
 HRANDFIELD HSCAN HSTRLEN HVALS LCS LINDEX LLEN LPOS LRANGE MGET PEXPIRETIME PTTL SCARD SCAN SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS SMISMEMBER SRANDMEMBER
 SSCAN STRLEN SUNION TTL TYPE XLEN XPENDING XRANGE XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYLEX
 ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION`)

// reads2 are those of two words.
var reads2 = []string{"MEMORY USAGE", "OBJECT ENCODING", "OBJECT FREQ", "OBJECT IDLETIME", "OBJECT REFCOUNT", "XINFO CONSUMERS", "XINFO GROUPS", "XINFO STREAM"}

// writes are the commands that set something to what they say, so that doing them once more changes nothing: each with the
// lengths that it may have. The lengths leave no place for an option, which an argument could turn into.
var writes = map[string]func(n int) bool{
	"DEL": atLeast(2), "UNLINK": atLeast(2), "EXPIRE": exactly(3), "PEXPIRE": exactly(3), "EXPIREAT": exactly(3), "PEXPIREAT": exactly(3),
	"PERSIST": exactly(2), "SET": func(n int) bool { return n == 3 || n == 5 }, "SETEX": exactly(4), "PSETEX": exactly(4), "SETBIT": exactly(4),
	"HSET": pairs(2), "HDEL": atLeast(3), "MSET": pairs(1), "SADD": atLeast(3), "SREM": atLeast(3), "LSET": exactly(4), "ZADD": exactly(4), "ZREM": atLeast(3),
}

func exactly(n int) func(int) bool { return func(m int) bool { return m == n } }

func atLeast(n int) func(int) bool { return func(m int) bool { return m >= n } }

// pairs is for pairs behind a number of elements.
func pairs(head int) func(int) bool { return func(m int) bool { return m > head && (m-head)%2 == 0 } }

// word is a literal element in capitals; "" for one with a place for an argument.
func word(argv []fill.Text, i int) string {
	if i >= len(argv) || len(argv[i].Names()) > 0 {
		return ""
	}
	return strings.ToUpper(argv[i].Literal())
}

// readable holds a command against those that only read.
func readable(argv []fill.Text) error {
	name := word(argv, 0)
	switch {
	case name == "":
		return errors.New("the command itself must be fixed")
	case slices.Contains(reads, name), slices.Contains(reads2, name+" "+word(argv, 1)):
		return nil
	}
	return fmt.Errorf("%s is not one of the commands that only read", name)
}

// writable holds a command against those that may be done twice.
func writable(argv []fill.Text) error {
	name := word(argv, 0)
	fits, known := writes[name]
	switch {
	case name == "":
		return errors.New("the command itself must be fixed")
	case !known:
		return fmt.Errorf("%s is not one of the commands that may be done twice without harm", name)
	case !fits(len(argv)):
		return fmt.Errorf("%s cannot have %d elements here", name, len(argv))
	case name == "SET" && len(argv) == 5 && !slices.Contains([]string{"EX", "PX", "EXAT", "PXAT"}, word(argv, 3)):
		return errors.New("SET takes EX, PX, EXAT or PXAT as its fourth element, fixed")
	}
	return nil
}

// elements fills a command in, one element for each text.
func (c Command) elements(args map[string]any) []string {
	out := make([]string, len(c.Argv))
	for i, t := range c.Argv {
		out[i] = t.String(args, nil)
	}
	return out
}

func anys(argv []string) []any {
	out := make([]any, len(argv))
	for i, a := range argv {
		out[i] = a
	}
	return out
}
