"""What people do with the official client."""
import openai
import pytest

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def test_chat_answers(server):
    answer = server.client().chat.completions.create(model="m", messages=QUESTION, temperature=0, max_tokens=32)
    assert "Paris" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_streamed_chat_says_the_same(server):
    whole = server.client().chat.completions.create(model="m", messages=QUESTION, temperature=0, max_tokens=32)
    stream = server.client().chat.completions.create(model="m", messages=QUESTION, temperature=0, max_tokens=32, stream=True,
                                                     stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_seeded_sampling_repeats(server):
    def sample(seed):
        return server.client().completions.create(model="m", prompt="Once upon a time", seed=seed, temperature=1.0, max_tokens=24).choices[0].text
    assert sample(1) == sample(1)
    assert len({sample(s) for s in range(6)}) > 1


def test_several_choices_differ(server):
    answer = server.client().chat.completions.create(model="m", messages=QUESTION, n=4, temperature=1.2, max_tokens=16)
    assert [c.index for c in answer.choices] == [0, 1, 2, 3]
    assert len({c.message.content for c in answer.choices}) > 1


def test_stop_strings_cut_text_and_usage(server):
    client = server.client()
    whole = client.completions.create(model="m", prompt="1, 2, 3, 4,", temperature=0, max_tokens=16).choices[0].text
    assert "6" in whole, whole
    stopped = client.completions.create(model="m", prompt="1, 2, 3, 4,", temperature=0, max_tokens=16, stop=["6"])
    assert stopped.choices[0].text == whole[:whole.index("6")]
    assert stopped.choices[0].finish_reason == "stop" and stopped.choices[0].stop_reason == "6"


def test_logprobs_are_consistent(server):
    answer = server.client().chat.completions.create(model="m", messages=QUESTION, temperature=0, max_tokens=8, logprobs=True, top_logprobs=3)
    for entry in answer.choices[0].logprobs.content:
        assert entry.logprob <= 0 and len(entry.top_logprobs) == 3
        assert entry.token == entry.top_logprobs[0].token  # greedy takes the best
        assert bytes(entry.bytes).decode() == entry.token


def test_errors_reach_the_client_as_its_own_types(server):
    client = server.client()
    with pytest.raises(openai.NotFoundError, match="nonsense"):
        client.chat.completions.create(model="nonsense", messages=QUESTION)
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="m", messages=QUESTION, temperature=3)
    with pytest.raises(openai.BadRequestError, match="4096"):
        client.completions.create(model="m", prompt="word " * 5000)


def test_models(server):
    card = server.client().models.list().data[0]
    assert card.id == "m" and card.max_model_len == 4096 and card.owned_by == "vllm"


def test_a_disconnect_frees_everything(server):
    stream = server.client().completions.create(model="m", prompt="Count: 1, 2,", max_tokens=3000, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    server.wait_idle()
