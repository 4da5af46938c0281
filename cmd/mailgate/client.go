package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"

	"mailgate/internal/web"
)

// client speaks the API of the running gateway over its control socket.
type client struct {
	socket string
	http   *http.Client
}

// connect finds the control socket: --socket, or the configuration's.
func (a *app) connect() (*client, error) {
	socket := a.socket
	if socket == "" {
		cfg, err := a.configOrDefault()
		if err != nil {
			return nil, fmt.Errorf("%w\n(a gateway that runs is reached without it: --socket PATH)", err)
		}
		socket = cfg.Control.Socket
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial}}}, nil
}

func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, into)
}

func (c *client) post(ctx context.Context, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, path, data, into)
}

func (c *client) call(ctx context.Context, method, path string, body []byte, into any) error {
	response, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return coded(exitSoftware, fmt.Errorf("read the gateway's answer: %w", err))
	}
	return nil
}

// stream copies an answer that is not JSON.
func (c *client) stream(ctx context.Context, path string, out io.Writer) error {
	response, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(out, response.Body); err != nil {
		return coded(exitSoftware, fmt.Errorf("read the gateway's answer: %w", err))
	}
	return nil
}

// lines posts body and calls each for every JSON line of the answer.
func lines[T any](ctx context.Context, c *client, path string, body any, each func(T) error) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	response, err := c.do(ctx, http.MethodPost, path, data)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for d := json.NewDecoder(response.Body); ; {
		var line T
		switch err := d.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil:
			return c.unreachable(ctx, err)
		case err != nil:
			return coded(exitSoftware, fmt.Errorf("read the gateway's answer: %w", err))
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

func (c *client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://mailgate"+path, bytes.NewReader(body))
	if err != nil {
		return nil, usageError(err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	refused := &refusal{status: response.StatusCode}
	if json.NewDecoder(response.Body).Decode(&refused.problem) != nil || refused.problem.Error == "" {
		refused.problem.Error = "the gateway answered " + response.Status
	}
	return nil, coded(statusCode(response.StatusCode), refused)
}

// refusal is the gateway's no to a request.
type refusal struct {
	status  int
	problem web.Problem
}

func (r *refusal) Error() string { return r.problem.Error }

func statusCode(status int) int {
	switch status {
	case http.StatusBadRequest:
		return exitUsage
	case http.StatusUnprocessableEntity:
		return exitConfig
	case http.StatusServiceUnavailable:
		return exitUnavailable
	case http.StatusTooEarly:
		return exitUnknown
	case http.StatusBadGateway, http.StatusInternalServerError:
		return exitSoftware
	}
	return exitFail
}

func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return coded(exitInterrupted, errors.New("interrupted; what the gateway had begun, it finishes"))
	}
	if errors.Is(err, fs.ErrPermission) {
		return coded(exitNoPerm, fmt.Errorf("control socket %s: you may not use it; run this as root or as mailgate's user", c.socket))
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // its address is not one to look at
	}
	return coded(exitUnavailable, fmt.Errorf("no gateway answers at %s: is `mailgate serve` running with this configuration? (%w)", c.socket, err))
}
