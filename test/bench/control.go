package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// control speaks to a gateway over its control socket.
type control struct{ http.Client }

func controlAt(socket string) *control {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &control{http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// call makes one request and reads the JSON answer into the value, if there is one;
// it says how long that took.
func (c *control) call(ctx context.Context, method, path string, into any) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://control"+path, nil)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	response, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	took := time.Since(began)
	if err != nil {
		return took, err
	}
	if response.StatusCode != http.StatusOK {
		return took, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	if into == nil {
		return took, nil
	}
	return took, json.Unmarshal(text, into)
}

// recipients returns how many recipients are in that state.
func (c *control) recipients(ctx context.Context, state string) (int, error) {
	var status struct {
		Counts map[string]int `json:"counts"`
	}
	_, err := c.call(ctx, http.MethodGet, "/v1/status", &status)
	return status.Counts[state], err
}
