package bounce

import "strings"

// memory is what earlier lines of a log told of messages and connections, since the
// line that tells of a failure rarely has it all. It is bounded: the oldest goes.
type memory struct {
	messages *recent[origin] // by queue id
	sessions *recent[string] // TLS, by program, process and host
}

// origin is where a message came from.
type origin struct{ sender string }

// remembered is how many messages and sessions are kept in mind.
const remembered = 20_000

func newMemory() *memory {
	return &memory{messages: newRecent[origin](remembered), sessions: newRecent[string](remembered)}
}

// read unwraps a log line. delivered: it tells of a delivery.
func (m *memory) read(l line) (list []Reading, delivered bool) {
	switch l.format() {
	case Postfix:
		list, delivered = m.readPostfix(l)
	case Sendmail:
		list, delivered = m.readSendmail(l)
	case Exim:
		list, delivered = m.readExim(l)
	case Qmail:
		list, delivered = readQmailLog(l)
	case Mailgate:
		list, delivered = readMailgate(l)
	case Exchange:
		list = readTracking(l)
	default:
		list = readProtocolLog(l)
	}
	for i := range list {
		r := &list[i]
		r.Raw = l.raw
		if from, ok := m.messages.get(r.QueueID); ok && r.QueueID != "" {
			if r.Sender == "" {
				r.Sender = from.sender
			}
		}
	}
	return list, delivered
}

func (m *memory) sentBy(id, sender string) {
	if id != "" {
		m.messages.put(id, origin{sender: strings.Clone(cut(sender, maxField))})
	}
}

func sessionKey(l line, host string) string {
	return l.program + "\x00" + l.pid + "\x00" + strings.ToLower(strings.TrimSuffix(host, "."))
}

// recent is a map that forgets the oldest.
type recent[V any] struct {
	values map[string]V
	order  []string // a ring, once it is full
	next   int
	most   int
}

func newRecent[V any](n int) *recent[V] { return &recent[V]{values: map[string]V{}, most: n} }

func (r *recent[V]) get(key string) (V, bool) {
	v, ok := r.values[key]
	return v, ok
}

func (r *recent[V]) put(key string, v V) {
	key = strings.Clone(cut(key, maxField))
	if _, known := r.values[key]; !known {
		r.remember(key)
	}
	r.values[key] = v
}

func (r *recent[V]) remember(key string) {
	if len(r.order) < r.most {
		r.order = append(r.order, key)
		return
	}
	delete(r.values, r.order[r.next])
	r.order[r.next] = key
	r.next = (r.next + 1) % r.most
}
