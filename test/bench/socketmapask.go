package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// asker asks a socketmap about domains in turn, over one connection.
type asker struct {
	network, address string
	domains          []string
	answer           string // begin of what is answered; empty: the question itself
	ahead            int    // questions sent before the first answer is read; 0: one at a time
}

// question is the netstring by which Postfix asks.
func question(domain string) string {
	key := "mailgate " + domain
	return strconv.Itoa(len(key)) + ":" + key + ","
}

// run asks for that long, but at least once, and returns how many answers came, and in what time.
func (a asker) run(d time.Duration) (n int, took time.Duration, err error) {
	plain, err := net.Dial(a.network, a.address)
	if err != nil {
		return 0, 0, err
	}
	c, err := newWire(plain)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	questions, answers := a.batches(), bufio.NewReaderSize(c, 64<<10)
	began := time.Now()
	for i := 0; i == 0 || time.Since(began) < d; i++ {
		batch := questions[i%len(questions)]
		if _, err := c.Write(batch); err != nil {
			return n, 0, err
		}
		for range max(1, a.ahead) {
			if err := a.read(answers, batch); err != nil {
				return n, 0, fmt.Errorf("of %.40q: %w", batch, err)
			}
			n++
		}
	}
	return n, time.Since(began), nil
}

// batches are what is sent at once.
func (a asker) batches() [][]byte {
	var all [][]byte
	for group := range slices.Chunk(a.domains, max(1, a.ahead)) {
		var batch []byte
		for _, d := range group {
			batch = append(batch, question(d)...)
		}
		if len(group) == max(1, a.ahead) {
			all = append(all, batch)
		}
	}
	return all
}

var errAnswer = errors.New("unexpected answer")

// read reads one answer and checks it. It makes no copy: that would be measured, too.
func (a asker) read(r *bufio.Reader, asked []byte) error {
	head, err := r.ReadSlice(':')
	if err != nil {
		return err
	}
	length := 0
	for _, digit := range head[:len(head)-1] {
		length = 10*length + int(digit-'0')
	}
	text, err := r.Peek(length + 1)
	if err != nil {
		return err
	}
	switch text = text[:length]; {
	case a.answer == "" && !bytes.Contains(asked, text), !strings.HasPrefix(string(text[:min(length, len(a.answer))]), a.answer):
		return fmt.Errorf("%w: %q, want %q", errAnswer, text, a.answer)
	}
	_, err = r.Discard(length + 1)
	return err
}

// warm asks until every answer is as it should be: at first a server may not have
// what it needs.
func (a asker) warm() error {
	a.ahead = 0
	for _, d := range a.domains {
		one := a
		one.domains = []string{d}
		for end := time.Now().Add(patience); ; {
			_, _, err := one.run(time.Nanosecond)
			if err == nil {
				break
			}
			if !errors.Is(err, errAnswer) || time.Now().After(end) {
				return err
			}
			time.Sleep(lookOut)
		}
	}
	return nil
}
