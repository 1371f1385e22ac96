"""Forty clips of every corpus in its real layout, with all tables that its loader reads, so that some rows can be spoilt.

A `Shelf` knows of each line, entry and file of a table whose clip it tells of. Odd files and encodings are in miniatures.py.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from miniatures import put, tone

N = 40
SPOILT = '"?? spoilt'  # no row of any table, with a quote that nobody closes


@dataclass
class Table:
    """Lines of a file by number, entries of a JSON file by key, or files beside the clips by path; and their clips."""

    kind: str
    path: str
    clips: dict[int | str, str | None]


@dataclass
class Shelf:
    """A corpus that was built: the path of each clip by a part of its id that is its own, and the tables."""

    root: Path
    clips: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)

    def clip(self, key: str, path: str, rate: int = 16_000, channels: int = 1) -> None:
        put(self.root / path, tone(0.5, rate, channels, "FLAC" if path.endswith("flac") else "WAV"))
        self.clips[key] = path

    def lines(self, path: str, rows: list[tuple[str | None, str]], heading: str | None = None) -> None:
        """Write a table; a row may have further lines, which are about it."""
        text = [] if heading is None else [heading]
        numbers: dict[int | str, str | None] = {}
        for key, row in rows:
            numbers["\n".join(text).count("\n") + 2 if text else 1] = key
            text.append(row)
        put(self.root / path, "\n".join(text) + "\n")
        self.tables.append(Table("lines", path, numbers))

    def entries(self, path: str, values: dict[str, object], clips: dict[str, str]) -> None:
        put(self.root / path, json.dumps(values))
        self.tables.append(Table("entries", path, dict(clips)))

    def beside(self, files: dict[str, tuple[str, str]]) -> None:
        """Write files: key of the clip to path and content."""
        for path, content in files.values():
            put(self.root / path, content)
        self.tables.append(Table("files", "", {path: key for key, (path, _) in files.items()}))


def spoil(shelf: Shelf, table: Table, places: list[int | str]) -> None:
    """Spoil some rows of a table."""
    path = shelf.root / table.path
    if table.kind == "lines":
        lines = path.read_text(encoding="utf-8").split("\n")
        for number in places:
            lines[int(number) - 1] = SPOILT
        path.write_text("\n".join(lines), encoding="utf-8")
    elif table.kind == "entries":
        values = json.loads(path.read_text())
        path.write_text(json.dumps(values | {str(key): SPOILT for key in places}))
    else:
        for place in places:
            (shelf.root / str(place)).write_bytes(b"\x81\x8d")


def esd(shelf: Shelf) -> None:
    emotions = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
    for speaker in ("0011", "0013"):
        rows: list[tuple[str | None, str]] = []
        for k in range(N // 2):
            name = f"{speaker}_{350 * (k % 5) + k + 1:06d}"
            shelf.clip(name, f"{speaker}/{emotions[k % 5]}/{name}.wav")
            rows.append((name, f"{name}\tThe nine the eggs.\t{emotions[k % 5]}"))
        shelf.lines(f"{speaker}/{speaker}.txt", rows)


def ravdess(shelf: Shelf) -> None:
    for k in range(N):
        name = f"03-01-0{k % 4 + 2}-01-0{k // 4 % 2 + 1}-01-{k // 4 + 1:02d}"
        shelf.clip(name, f"Actor_{name[-2:]}/{name}.wav")


def cremad(shelf: Shelf) -> None:
    sentences = ("TIE", "IOM", "IWW", "TAI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
    names = [f"100{k // 10 + 1}_{sentences[k % 10]}_{('ANG', 'SAD')[k % 2]}_XX" for k in range(N)]
    for name in names:
        shelf.clip(name, f"AudioWAV/{name}.wav")
    numbered = list(enumerate(names, 1))
    shelf.lines("SentenceFilenames.csv", [(n, f'{k},"{n}"') for k, n in numbered], '"Stimulus_Number","Filename"')
    means = ",".join(f"mean{name}Resp" for name in ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad"))
    rows = [(n, f'{100_000 + k},8,0,0,0,1,1,"{n}",10,60,-1,-1,-1,20,20') for k, n in numbered]
    shelf.lines("processedResults/tabulatedVotes.csv", rows, f'"",A,D,F,H,N,S,fileName,numResponses,{means}')
    people = [(None, f"100{k},51,Male,x,y") for k in range(1, 5)]
    shelf.lines("VideoDemographics.csv", people, "ActorID,Age,Sex,Race,Ethnicity")


def emodb(shelf: Shelf) -> None:
    for k in range(N):
        name = f"{('03', '08', '10', '11')[k % 4]}a0{(1, 2, 4, 5, 7)[k // 4 % 5]}{'WN'[k // 20]}a"
        shelf.clip(name, f"wav/{name}.wav")


def iemocap(shelf: Shelf) -> None:
    for session, dialog in ((1, "Ses01F_impro01"), (2, "Ses02M_script01_1b")):
        labels: list[tuple[str | None, str]] = []
        spoken: list[tuple[str | None, str]] = []
        for k in range(N // 2):
            name = f"{dialog}_{'FM'[k % 2]}{k:03d}"
            shelf.clip(name, f"Session{session}/sentences/wav/{dialog}/{name}.wav")
            raters = "C-E2:\tAnger;\t()\nC-F1:\tSadness;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n"
            labels.append((name, f"[{k}.29 - {k}.83]\t{name}\tang\t[2.5000, 3.5000, 2.5000]\n{raters}"))
            spoken.append((name, f"{name} [{k:03d}.29-{k:03d}.83]: Excuse me."))
        shelf.lines(f"Session{session}/dialog/EmoEvaluation/{dialog}.txt", labels, "% [START_TIME - END_TIME] TURN\n")
        shelf.lines(f"Session{session}/dialog/transcriptions/{dialog}.txt", spoken)


def msp_podcast(shelf: Shelf) -> None:
    names = [f"MSP-PODCAST_{k:04d}_0008" for k in range(N)]
    for name in names:
        shelf.clip(name, f"Audios/{name}.wav")
    splits = ("Train", "Development", "Test1")
    rows = [(n, f"{n}.wav,A,5.0,2.0,4.5,{k % 9},Male,{splits[k % 3]}") for k, n in enumerate(names)]
    shelf.lines("Labels/labels_consensus.csv", rows, "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set")
    votes = [(n, f'{n}.wav,"WORKER{r:04d}; Angry; Concerned,; A:4.0; V:3.0; D:4.0;"') for n in names for r in range(3)]
    shelf.lines("Labels/labels_detailed.csv", votes, "FileName,EmoDetail")
    shelf.beside({n: (f"Transcripts/{n}.txt", "And so it goes.\n") for n in names})


def msp_improv(shelf: Shelf) -> None:
    rows: list[tuple[str | None, str]] = []
    for k in range(N):
        name = f"IMPROV-S01A-{'FM'[k % 2]}0{k % 6 + 1}-P-FM{k:02d}"
        shelf.clip(f"MSP-{name}", f"session{k % 6 + 1}/S01A/P/MSP-{name}.wav")
        ratings = "A:2.0; V:3.0; D:3.0 ; N:4.0;"
        rows.append((f"MSP-{name}", f"UTD-{name}.avi; A; {ratings}\nee-1; Angry; Frustrated; {ratings}\n"))
    shelf.lines("Evaluation.txt", rows)


def emovdb(shelf: Shelf) -> None:
    names = [f"{('bea_Angry', 'sam_Neutral')[k % 2]}/x_1-40_{k + 1:04d}" for k in range(N)]
    for name in names:
        shelf.clip(name.replace("/", "_"), f"{name}.wav")
    prompts = [(n.replace("/", "_"), f'( arctic_a{n[-4:]} "Author of the trail." )') for n in names]
    shelf.lines("cmuarctic.data", prompts)


def tess(shelf: Shelf) -> None:
    for k in range(N):
        name = f"{('OAF', 'YAF')[k % 2]}_{'abcdefghij'[k // 4]}ite_{('angry', 'ps')[k // 2 % 2]}"
        shelf.clip(name, f"{name}.wav", 24_414)


def savee(shelf: Shelf) -> None:
    for k in range(N):
        name = f"{('DC', 'JE', 'JK', 'KL')[k % 4]}_{('sa', 'n')[k // 4 % 2]}{k // 8 + 1:02d}"
        shelf.clip(name, f"{name}.wav")


def jl(shelf: Shelf) -> None:
    names = [f"{('female1', 'male2')[k % 2]}_happy_{k // 2 % 15 + 1}{'ab'[k // 30]}_1" for k in range(N)]
    for name in names:
        shelf.clip(f"jl-{name}", f"JL(wav+txt)/{name}.wav")
    shelf.beside({f"jl-{n}": (f"JL(wav+txt)/{n}.txt", "Carl leaps into a jeep.") for n in names})


def emns(shelf: Shelf) -> None:
    names = [f"recorded_audio_{k:07d}" for k in range(N)]
    for name in names:
        shelf.clip(name, f"wavs/{name}.wav")
    heading = "id|utterance|description|emotion|date_created|status|gender|age|level|audio_recording|user_id"
    rows = [(n, f'{k}|"Hm, I said.|x|Sad|2022|Complete|Female|20s|3|wavs/{n}.webm|3') for k, n in enumerate(names)]
    shelf.lines("metadata.csv", rows, heading)


def atthack(shelf: Shelf) -> None:
    names = [f"{('F01', 'M04')[k % 2]}_a{k % 4 + 1}_s001_v{k:02d}" for k in range(N)]
    for name in names:
        shelf.clip(name, f"wav/{name}.wav")
    shelf.beside({n: (f"txt/{n}.txt", "Ça s'est bien passé.") for n in names})


def thaiser(shelf: Shelf) -> None:
    names = [f"s00{k % 9 + 1}_con_actor001_impro1_{k}" for k in range(N)]
    for name in names:
        shelf.clip(name, f"studio{name[1:4]}/con/{name}.flac")
    entry = [{"assigned_emo": "Sad", "annotated": [["Sad"], ["Sad"]]}]
    shelf.entries("emotion_label.json", {f"{n}.flac": entry for n in names}, {f"{n}.flac": n for n in names})


def emotiontalk(shelf: Shelf) -> None:
    names = [f"{('G00009', 'G00012', 'G00003', 'G00009')[k % 4]}_42_14_{k:03d}" for k in range(N)]
    files = {}
    for k, name in enumerate(names):
        place = f"audio/{name[:6]}/{name[:9]}/{name[:12]}"
        shelf.clip(name, f"{place}/{name}.wav")
        entry = {"data": ["sad", "sad"], "emotion_result": "sad", "speaker_id": str(k % 4), "content": "你好"}
        files[name] = (f"{place}/{name}.json", json.dumps(entry))
    shelf.beside(files)


def mead(shelf: Shelf) -> None:
    for k in range(N):
        speaker, level = ("M003", "W009")[k % 2], k // 2 % 2 + 1
        shelf.clip(f"{speaker}-angry-{level}-{k:03d}", f"{speaker}/audio/angry/level_{level}/{k:03d}.wav")


def expresso(shelf: Shelf) -> None:
    names = [f"ex01_happy_{k:05d}" for k in range(N - 2)]
    talks = ["ex01-ex02_calm_001", "ex01-ex02_calm_002"]
    for name in names:
        shelf.clip(name, f"audio_48khz/read/ex01/happy/base/{name}.wav")
    for name in talks:
        for channel in (1, 2):
            shelf.clip(f"{name}-{channel}-000", f"audio_48khz/conversational/ex01-ex02/calm/{name}.wav", channels=2)
    shelf.lines("read_transcriptions.txt", [(n, f"{n}\tThat is great.") for n in names])
    rows = [(f"{n}-{c}-000", f"{n}/channel{c}\t(0.0, 0.5)") for n in talks for c in (1, 2)]
    shelf.lines("VAD_segments.txt", rows, "#VAD segments")
    for split, part in (("train", [*names[:20], *talks]), ("dev", names[20:30]), ("test", names[30:])):
        shelf.lines(f"splits/{split}.txt", [(n, n) for n in part], "# If only one segment is extracted, (a,b)")


def emonet(shelf: Shelf) -> None:
    files = {}
    for k in range(N):
        shelf.clip(f"shard0_{k:06d}", f"shard0/{k:06d}.wav")
        files[f"shard0_{k:06d}"] = (f"shard0/{k:06d}.json", json.dumps({"Anger": 2, "speaker": f"v{k % 4}"}))
    shelf.beside(files)


def meld(shelf: Shelf) -> None:
    heading = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    for name, folder in (
        ("train", "train_splits"),
        ("dev", "dev_splits_complete"),
        ("test", "output_repeated_splits_test"),
    ):
        rows: list[tuple[str | None, str]] = []
        for k in range(N if name == "train" else 3):
            shelf.clip(f"meld-{name}-dia{k}_utt0", f"{folder}/dia{k}_utt0.wav")
            rows.append((f"meld-{name}-dia{k}_utt0", f'{k},"Oh, it’s you!",Ross,joy,positive,{k},0,8,21,a,"b,c"'))
        shelf.lines(f"{name}_sent_emo.csv", rows, heading)


def ljspeech(shelf: Shelf) -> None:
    names = [f"LJ001-{k:04d}" for k in range(1, N + 1)]
    for name in names:
        shelf.clip(name, f"wavs/{name}.wav")
    shelf.lines("metadata.csv", [(n, f'{n}|Printing, "in 1465|Printing, "in fourteen') for n in names])


def libritts(shelf: Shelf) -> None:
    files = {}
    for k in range(N):
        stem = f"{(103, 104)[k % 2]}_1241_000000_{k:06d}"
        path = f"train-clean-100/{stem[:3]}/1241/{stem}"
        shelf.clip(stem, f"{path}.wav")
        files[stem] = (f"{path}.normalized.txt", "Mister Bell said no.")
    shelf.beside(files)
    shelf.lines("speakers.tsv", [(None, f"{n}\tF\tx\tKaren") for n in (103, 104)], "READER\tGENDER\tSUBSET\tNAME")


def vctk(shelf: Shelf) -> None:
    files = {}
    for k in range(N):
        speaker = f"p22{5 + k % 4}"
        name = f"{speaker}_{k + 1:03d}"
        shelf.clip(name, f"wav48_silence_trimmed/{speaker}/{name}_mic2.flac")
        files[name] = (f"txt/{speaker}/{name}.txt", "Please call Stella.")
    shelf.beside(files)
    people = [(None, f"p22{k}  23  F    English    Southern  England") for k in range(5, 9)]
    shelf.lines("speaker-info.txt", people, "ID  AGE  GENDER  ACCENTS  REGION COMMENTS")


def folder(shelf: Shelf) -> None:
    names = [f"clips_{k:03d}" for k in range(N)]
    for name in names:
        shelf.clip(name, f"clips/{name[-3:]}.wav")
    rows = [(n, f'clips/{n[-3:]}.wav,"Hello, there.",{"abcd"[k % 4]},joy') for k, n in enumerate(names)]
    shelf.lines("metadata.csv", rows, "path,text,speaker,emotion")


FORTY: dict[str, Callable[[Shelf], None]] = {
    function.__name__: function
    for function in (esd, ravdess, cremad, emodb, iemocap, msp_podcast, msp_improv, emovdb, tess, savee, jl, emns, atthack,
                     thaiser, emotiontalk, mead, expresso, emonet, meld, ljspeech, libritts, vctk, folder)
}  # fmt: skip
