"""Train a bidirectional GRU with PyTorch to recognise nine speakers, and write the files here.

    python examples/data/train_with_torch.py

needs torch and safetensors. It writes the weights to `vowels_gru.safetensors` and the network's
predictions for the test utterances to `vowels_gru.npz`; `deploy_from_torch.py` compares them with
its own. The weights were learned from the Japanese Vowels data (Kudo, Toyama and Shimbo 1999,
CC BY 4.0) that ships with lightrnn.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from lightrnn.datasets import load_japanese_vowels
from lightrnn.preprocessing import SequenceScaler

HERE = Path(__file__).parent
EPOCHS = 60


class Speakers(nn.Module):
    """A bidirectional GRU, whose final states go through dropout into a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(12, 32, bidirectional=True)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(64, 9)

    def forward(self, X: list[torch.Tensor]) -> torch.Tensor:
        """Return the logits (n, 9) of n utterances (T_i, 12)."""
        _, h_n = self.gru(pack_sequence(X, enforce_sorted=False))
        return self.fc(self.dropout(torch.cat([h_n[-2], h_n[-1]], dim=1)))


def main() -> None:
    """Train, and write weights and test probabilities."""
    torch.manual_seed(0)
    X, y = load_japanese_vowels("train")
    X_test, y_test = load_japanese_vowels("test")
    scaler = SequenceScaler().fit(X)
    train = [torch.from_numpy(x) for x in scaler.transform(X)]
    test = [torch.from_numpy(x) for x in scaler.transform(X_test)]
    labels = torch.from_numpy(y - 1)
    net = Speakers()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(train)).split(32):
            optimizer.zero_grad()
            logits = net([train[i] for i in batch])
            nn.functional.cross_entropy(logits, labels[batch]).backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        probabilities = net.eval()(test).softmax(dim=1).numpy()
    print(f"accuracy {(probabilities.argmax(axis=1) + 1 == y_test).mean():.1%}")
    save_file(net.state_dict(), HERE / "vowels_gru.safetensors")
    np.savez_compressed(HERE / "vowels_gru.npz", probabilities=probabilities)


if __name__ == "__main__":
    main()
