"""A miniature of every corpus in its real layout, with its odd files, encodings, missing and broken clips.

A folder comes in and is filled. The clips are short tones; what a loader should make of them is said in the tests.
"""

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 48000\n"


@cache
def tone(seconds: float = 0.8, rate: int = 16_000, channels: int = 1, kind: str = "WAV", f0: float = 140.0) -> bytes:
    """Return a file with a voiced sound between two silences."""
    time = np.arange(int(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * f0 * k * time) / k for k in range(1, 12))
    envelope = np.clip(np.minimum(time, seconds - time) * 20 - 2, 0, 1)  # 0.1 s of silence at both ends
    samples = 0.05 * voice * envelope + 1e-5 * np.sin(2 * np.pi * 1_000 * time)
    file = io.BytesIO()
    soundfile.write(
        file,
        np.stack([samples] * channels, axis=-1),
        rate,
        format=kind,
        subtype="MPEG_LAYER_III" if kind == "MP3" else "PCM_16",
    )
    return file.getvalue()


def put(path: Path, content: bytes | str | None = None, encoding: str = "utf-8") -> None:
    """Write a file and the folders above it; by default a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tone() if content is None else content
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)


def esd(root: Path) -> None:
    names = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
    for speaker, numbers in (("0001", (1, 2)), ("0011", (1, 21, 60)), ("0015", (60,))):
        lines = []
        for block, emotion in enumerate(names):
            for n in numbers:
                name = f"{speaker}_{350 * block + n:06d}"
                put(root / speaker / emotion / f"{name}.wav")
                lines.append(f"{name}\t{'你好' if speaker == '0001' else 'The nine the eggs, I keep.'}\t{emotion}")
        put(
            root / speaker / f"{speaker}.txt",
            "\r\n".join(lines) + "\r\n\r\n",
            {"0001": "gb18030", "0015": "utf-16"}.get(speaker, "utf-8-sig"),
        )
    put(root / "0011/Angry/0011_000999.wav")  # a number of Happy
    put(root / "0011/Sad/0011_001100.wav", b"")
    put(root / "0011/Sad/0011_001101.wav", POINTER)
    put(root / "0011/Angry/._0011_000351.wav", b"x")
    put(root / "reference.txt", "cite us")


def ravdess(root: Path) -> None:
    for actor in ("01", "02"):
        for name in ("03-01-01-01-01-01", "03-01-03-02-02-01", "03-01-06-01-01-02", "03-01-08-02-01-01"):
            put(root / f"Audio_Speech_Actors_01-24/Actor_{actor}/{name}-{actor}.wav", tone(rate=48_000))
    put(root / "Audio_Speech_Actors_01-24/Actor_01/03-01-05-02-01-01-01.wav", tone(rate=48_000, channels=2))
    put(root / "Audio_Song_Actors_01-24/Actor_01/03-02-04-01-01-01-01.wav")
    put(root / "copy/Actor_01/03-01-01-01-01-01-01.wav")


def cremad(root: Path) -> None:
    clips = (
        "1001_IEO_ANG_HI",
        "1001_IEO_ANG_LO",
        "1001_DFA_NEU_XX",
        "1002_TSI_SAD_XX",
        "1006_ITS_HAP_XX",
        "1076_MTI_SAD_XX",
        "1064_TIE_SAD_XX",
    )
    for name in clips:
        put(root / f"AudioWAV/{name}.wav")
    listed = (*clips, "1002_ITH_DIS_XX")
    put(
        root / "SentenceFilenames.csv",
        '"Stimulus_Number","Filename"\n' + "".join(f'{k},"{n}"\n' for k, n in enumerate(listed, 1)),
    )
    put(
        root / "VideoDemographics.csv",
        "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Caucasian,Not Hispanic\n",
    )
    names = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad")
    heading = [
        "",
        *"ADFHNS",
        "fileName",
        "numResponses",
        "agreement",
        "emoVote",
        "meanEmoResp",
        *(f"mean{n}Resp" for n in names),
    ]
    rows = []
    votes = {
        "1001_IEO_ANG_HI": (8, 1, 0, 0, 1, 0),
        "1001_IEO_ANG_LO": (3, 0, 0, 0, 3, 0),
        "1002_TSI_SAD_XX": (0, 0, 0, 0, 2, 7),
    }
    for number, name in enumerate(listed, 1):
        for mode in (1, 2, 3):
            counts = votes.get(name, (0, 0, 0, 0, 9, 0)) if mode == 1 else (0, 0, 0, 9, 0, 0)
            means = [75.0 if count else -1 for count in counts]
            rows.append([100_000 * mode + number, *counts, name, sum(counts), 0.9, "A", 75.0, *means])
    put(
        root / "processedResults/tabulatedVotes.csv",
        "\n".join(",".join(map(str, row)) for row in [heading, *rows]) + "\n",
    )
    put(root / "AudioMP3/1001_IEO_ANG_HI.mp3", b"x")


def emodb(root: Path) -> None:
    for name in ("03a01Wa", "08b03Fb", "09a02La", "10a04Ea", "11a05Ac", "16b10Tb", "13b09Na"):
        put(root / f"wav/{name}.wav")
    put(root / "wav/99a01Wa.wav")
    put(root / "labsilb/03a01Wa.silb", "0.1 Läppchen\n", "latin-1")


def iemocap(root: Path) -> None:
    for session, dialog in ((1, "Ses01F_impro01"), (3, "Ses03M_impro05a"), (5, "Ses05F_script01_1b")):
        lines, spoken = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"], []
        for k in range(50):
            code, v, a = (
                ("ang", 1.5, 4.5),
                ("sad", 2.0, 1.5),
                ("hap", 4.5, 3.0),
                ("xxx", 3.0, 3.0),
                ("fru", 2.0, 3.0),
            )[k % 5]
            name = f"{dialog}_{'FM'[k % 2]}{k:03d}"
            if (session, k) != (1, 49):
                put(root / f"Session{session}/sentences/wav/{dialog}/{name}.wav")
            lines.append(f"[{k}.2901 - {k}.8357]\t{name}\t{code}\t[{v:.4f}, {a:.4f}, 2.5000]\n")
            lines.append(
                "C-E2:\tAnger; Frustration;\t()\nC-E3:\tNeutral;\t()\nC-F1:\tSadness;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
            )
            spoken.append(f"{name} [{k:03d}.2901-{k:03d}.8357]: [LAUGHTER] Excuse me.")
        put(root / f"Session{session}/dialog/EmoEvaluation/{dialog}.txt", "".join(lines))
        put(root / f"Session{session}/dialog/EmoEvaluation/._{dialog}.txt", b"\x00\x05\x16\x07")
        put(root / f"Session{session}/dialog/EmoEvaluation/Categorical/{dialog}_e2_cat.txt", "junk")
        put(
            root / f"Session{session}/dialog/transcriptions/{dialog}.txt",
            "\n".join([*spoken, "F: (short turn)", f"{dialog}_FXX0 [1.0-2.0]: Hm."]),
        )
    put(root / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F999.wav")


def msp_podcast(root: Path, detail: bool = True) -> None:
    rows = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    ratings = ["FileName,EmoDetail" if detail else "FileName,EmoClass_Major,EmoClass_Second"]
    for k in range(100):
        code, word, a, v = (
            ("A", "Angry", 6.0, 2.0),
            ("S", "Sad", 2.0, 2.5),
            ("H", "Happy", 5.0, 6.0),
            ("X", "Neutral", 4.0, 4.0),
            ("O", "Other-bored", 4.0, 4.0),
        )[k % 5]
        name = f"MSP-PODCAST_{k:04d}_0008.wav" if k else "MSP-PODCAST_0000_0008_0001.wav"
        split = ("Train", "Development", "Validation", "Test1", "Test2")[k % 7 if k % 7 < 5 else 0]
        rows.append(
            f"{name},{code},{a},{v},4.5,{'Unknown' if k % 40 == 1 else f'{split}-{k % 9}'},{'Female' if k % 2 else 'Male'},{split}"
        )
        if k != 3:
            put(root / ("Audios" if detail else "Audio") / name)
        for rater in range(5):
            vote = word if rater < 3 else "Neutral"
            ratings.append(
                f'{name},"WORKER{rater:04d}; {vote}; Concerned,; A:4.0; V:3.0; D:4.0;"'
                if detail
                else f'{name},{vote},"Concerned,Sad"'
            )
    rows += ["MSP-PODCAST_0004_0008.wav,Q,4,4,4,1,Female,Train"]
    put(root / "Labels" / ("labels_consensus.csv" if detail else "labels_concensus.csv"), "\n".join(rows))
    put(root / "Labels/labels_detailed.csv", "\n".join(ratings))
    put(root / "Transcripts/MSP-PODCAST_0005_0008.txt", "And so it goes.\n")
    put(root / "Audios/MSP-PODCAST_9999_0001.wav")


def msp_improv(root: Path, is_upside_down: bool = False) -> None:
    lines = []
    for k in range(90):
        code, a, v = (("A", 4.0, 1.5), ("S", 2.0, 2.0), ("H", 3.5, 4.5))[k % 3]
        speaker = f"{'FM'[k % 2]}0{k % 6 + 1}"
        name = f"IMPROV-S01{'AHNS'[k % 4]}-{speaker}-{'PRST'[k % 4]}-FM{k:02d}"
        put(root / f"session{k % 6 + 1}/S01A/{'PRST'[k % 4]}/MSP-{name}.wav", tone(rate=44_100))
        dominance = "NaN" if k == 4 else "3.000000"
        lines.append(
            f"UTD-{name}.avi; {code}; A:{6 - a if is_upside_down else a:.6f}; V:{v:.6f}; D:{dominance} ; N:4.000000;"
        )
        lines += ["ee-1; Neutral; Frustrated; A:2.0; V:3.0; D:3.0;", "ee-2; Angry,; ; A:2.0; V:3.0; D:3.0;", ""]
    lines.append("UTD-IMPROV-S02A-F01-P-FM01.avi; N; A:2.400000; V:3.000000; D:3.000000 ; N:4.000000;")
    lines.append("UTD-IMPROV-S02A-F01-P-FM02.avi; N; V:2.400000; A:3.000000; D:3.000000 ; N:4.000000;")
    put(root / "Evalution.txt", "\n".join(lines))


def emovdb(root: Path) -> None:
    for folder, name in (
        ("bea_Angry", "anger_1-28_0001"),
        ("jenie_Amused", "amused_57-84_0057"),
        ("josh_Neutral", "neutral_1_28_0002"),
        ("sam_Disgusted", "Disgust_29-56_0030"),
    ):
        put(root / folder / f"{name}.wav", tone(rate=44_100 if "bea" in folder else 16_000))
    put(
        root / "cmuarctic.data",
        '( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )\n( arctic_b0001 "Gad, do I remember it." )\n',
    )


def tess(root: Path) -> None:
    for folder, name in (
        ("OAF_Fear", "OAF_lid_fear"),
        ("YAF_pleasant_surprised", "YAF_lid_ps"),
        ("OAF_neutral", "OA_bite_neutral"),
        ("YAF_sad", "YAF_lid_sad"),
    ):
        put(root / folder / f"{name}.wav", tone(rate=24_414))
    put(root / "TESS Toronto/OAF_Fear/OAF_lid_fear.wav")


def savee(root: Path) -> None:
    for speaker, name in (("DC", "a01"), ("DC", "sa01"), ("JE", "su15"), ("KL", "n30")):
        put(root / f"AudioData/{speaker}/{name}.wav", tone(rate=44_100))
    put(root / "AudioData/Info.txt", "info")


def jl(root: Path) -> None:
    base = root / "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
    for name in ("female1_apologetic_15b_2", "male1_angry_1a_1", "male2_excited_3a_1", "female2_happy_7b_1"):
        put(base / f"{name}.wav", tone(rate=44_100))
        put(base / f"{name}.txt", "Carl leaps into a jeep.\n")
    put(base / "male1_gleeful_1a_1.wav")


def emns(root: Path) -> None:
    heading = "id|utterance|description|emotion|date_created|status|gender|age|level|audio_recording|user_id"
    rows = [
        '1|Hello "there".|She said|Happy|2022|Complete|Female|20s|8|wavs/recorded_audio_3aCYrjz.webm|3',
        "2|Hm.|x|Sarcastic|2022|Complete|Female|20s|3|wavs/recorded_audio.webm|3",
        "3|Hm.|x|Sad|2022|Needs Updating|Female|20s|3|wavs/recorded_audio_4bCYrjz.webm|3",
        "4|Hm.|x|Sad|2022|Complete|Female|20s|3|wavs/recorded_audio_0000000.webm|3",
        "5|Hm.|x|Sad|2022|Complete|Female|20s|11|wavs/recorded_audio_5cCYrjz.webm|3",
    ]
    put(root / "metadata.csv", "\n".join([heading, *rows]))
    for name in ("recorded_audio_3aCYrjz", "recorded_audio", "recorded_audio_4bCYrjz", "recorded_audio_5cCYrjz"):
        put(root / f"cleaned_webm/{name}.webm", b"\x1aE\xdf\xa3" + bytes(2_000))
        put(root / f"raw_webm/{name}.webm", b"\x1aE\xdf\xa3" + bytes(2_000))
    put(root / "wavs/recorded_audio_3aCYrjz.wav", tone(rate=48_000))


def atthack(root: Path) -> None:
    for name in ("F01_a1_s001_v01", "M04_a3_s001_v02", "F02_a4_s100_v01"):
        put(root / f"wav/{name}.wav", tone(rate=44_100))
        put(root / f"txt/{name}.txt", "Ça s'est bien passé.", "cp1252" if name[0] == "M" else "utf-8")


def thaiser(root: Path) -> None:
    labels = {}
    for room, mic, number in (("s001", "con", 1), ("s006", "con", 2), ("s011", "con", 3), ("z011", "mic", 180)):
        folder = f"{'studio' if room[0] == 's' else 'zoom'}{room[1:]}"
        name = f"{room}_{mic}_actor{number:03d}_script1_1_2a"
        put(root / folder / mic / f"{name}.flac", tone(rate=44_100, kind="FLAC"))
        if mic == "con":
            put(root / folder / "clip" / f"{name.replace('_con_', '_clip_')}.flac", tone(rate=44_100, kind="FLAC"))
        annotated = (
            [["Angry"], ["Angry", "Frustrated"], ["None"], ["Angry"]]
            if room != "s006"
            else [["Sad"], ["Neutral"], ["Other"]]
        )
        labels[f"{name}.wav"] = [{"assigned_emo": "Angry", "annotated": annotated}]
    labels["s001_con_actor001_impro1_1.wav"] = [{"assigned_emo": "Sad", "annotated": [["Sad"]]}]
    labels["s001_con_actor001_impro1_2.wav"] = ["broken"]
    put(root / "emotion_label.json", json.dumps(labels))
    people = [{"Actor's ID": "001", "Age": 20, "Sex": "Female"}, {"Actor's ID": "180", "Age": 30, "Sex": "Male"}]
    put(root / "actor_demography.json", json.dumps({"data": people}))


def emotiontalk(root: Path) -> None:
    for k, (a, b, emotion) in enumerate(
        (
            ("G00009_42", "14", "angry"),
            ("G00009_42", "15", "Happy"),
            ("G00012_43", "01", "neutral"),
            ("G00003_44", "01", "sad"),
        )
    ):
        name = f"{a}_{b}_{k:03d}"
        place = f"{a[:6]}/{a}/{a}_{b}"
        put(root / f"audio/{place}/{name}.wav", tone(rate=44_100))
        entry = {
            "data": [emotion.lower(), "neutral", emotion.lower()],
            "emotion_result": emotion,
            "speaker_id": f"0{k}",
            "content": "[over/]你好[/over][laughing] 吗",
        }
        put(root / f"audio/{place}/{name}.json", json.dumps(entry, ensure_ascii=False))
        put(root / f"Text/{place}/{name}.json", json.dumps(entry | {"emotion_result": "fearful"}))
        put(
            root / f"Multimodal/{place}/{name}.json",
            json.dumps(entry | {"Continuous label_result": -1.6 if k == 0 else -10}),
        )
    put(root / "audio/G00009/G00009_45/G00009_45_01/G00009_45_01_000.wav")
    put(
        root / "audio/G00009/G00009_46/G00009_46_01/G00009_46_01_000.json",
        json.dumps({"speaker_id": "1", "emotion_result": "sad"}),
    )


def mead(root: Path) -> None:
    for speaker in ("M003", "W009", "M030"):
        for n in range(1, 13):
            put(root / f"{speaker}/audio/neutral/level_1/{n:03d}.m4a", b"\x00\x00\x00\x18ftypM4A " + bytes(40))
        for n in range(1, 8):
            put(root / f"{speaker}/audio/contempt/level_3/{n:03d}.m4a", b"\x00\x00\x00\x18ftypM4A " + bytes(40))
    put(root / "M003/audio/contempt/level_3/001.wav", tone(rate=48_000))
    put(root / "M003/audio/neutral/level_2/001.m4a", b"x")
    put(root / "M003/video/front/neutral/level_1/001.mp4", b"x")


def expresso(root: Path) -> None:
    base = root / "audio_48khz"
    for spk, style, place, name in (
        ("ex01", "happy", "base", "ex01_happy_00001"),
        ("ex02", "default", "base", "ex02_default_emphasis_00002"),
        ("ex01", "default", "longform", "ex01_default_longform_00003"),
        ("ex04", "whisper", "base", "ex04_whisper_00004"),
    ):
        put(base / f"read/{spk}/{style}/{place}/{name}.wav", tone(38.0 if place == "longform" else 0.8, 48_000))
    put(base / "conversational/ex03-ex01/angry-angry/ex03-ex01_angry_005.wav", tone(4.0, 48_000, 2))
    put(base / "conversational/ex02-ex04/bored-animal/ex02-ex04_bored-animaldir_001.wav", tone(4.0, 48_000, 2))
    put(
        root / "read_transcriptions.txt",
        "ex01_happy_00001\tThat is *great*.\nex02_default_emphasis_00002\tI *never* said it.\n"
        "ex01_default_longform_00003\tOnce upon a time.\n",
    )
    put(
        root / "VAD_segments.txt",
        "ex03-ex01_angry_005/channel1\t(0.5, 1.5) (1.8, 2.6)\nex03-ex01_angry_005/channel2\t(2.8, 3.9)\n"
        "ex02-ex04_bored-animaldir_001/channel2\t(0.5, 1.5)\n"
        "# of long readings too\nex01_default_longform_00003\t(0.2, 1.8) (2.0, 37.6)\n",
    )
    put(
        root / "splits/train.txt",
        "ex01_happy_00001\nex02_default_emphasis_00002\nex03-ex01_angry_005 (,2.0s)\nex01_default_longform_00003\t(2.5s,)\n",
    )
    put(root / "splits/dev.txt", "# a comment\nex01_default_longform_00003\t(,1.0s)\nex02-ex04_bored-animaldir_001\n")
    put(
        root / "splits/test.txt",
        "ex01_default_longform_00003\t(1.0s,2.5s)\nex03-ex01_angry_005 (2.7s,)\nex01_happy_00099\n",
    )


def emonet(root: Path) -> None:
    ratings = (
        (
            {
                "Anger": 2,
                "Fear": 0,
                "Valence": -3,
                "Arousal": 4,
                "Submissive vs. Dominant": 3,
                "speaker": "nova",
                "language": "de",
                "transcription": "Nein!",
            },
            "mp3",
        ),
        ({"Fatigue/Exhaustion": [2, 1, 2], "Sadness": [0, 0, 1], "speaker": "onyx"}, "wav"),
        ({"Anger": 1, "Fear": 1, "speaker": "echo"}, "wav"),
        ({"duration": 3.0}, "wav"),
    )
    for k, (entry, kind) in enumerate(ratings):
        put(root / f"shard0/{k:06d}.{kind}", tone(rate=24_000, kind="MP3" if kind == "mp3" else "WAV"))
        put(root / f"shard0/{k:06d}.json", json.dumps(entry))
    put(root / "shard0/000009.wav")
    put(root / "shard0/000010.wav")
    put(root / "shard0/000010.json", "{broken")


def meld(root: Path) -> None:
    heading = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    for name, folder, encoding in (
        ("train", "train/train_splits", "cp1252"),
        ("dev", "dev/dev_splits_complete", "utf-8"),
        ("test", "test/output_repeated_splits_test", "utf-8"),
    ):
        rows = [
            '1,"Oh, it’s you!",Ross,joy,positive,0,0,8,21,"00:16:16,059","00:16:21,731"',
            "2,No.,Rachel,disgust,negative,0,1,8,21,a,b",
            "3,Hm.,Joey,neutral,neutral,125,3,8,21,a,b",
        ]
        put(root / f"{name}_sent_emo.csv", "\n".join([heading, *rows]), encoding)
        for clip in ("dia0_utt0", "dia0_utt1"):
            put(root / folder / f"{clip}.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(40))
    put(root / "test/output_repeated_splits_test/final_videos_testdia0_utt0.mp4", b"x")
    put(root / "test/output_repeated_splits_test/._dia0_utt0.mp4", b"x")


def ljspeech(root: Path) -> None:
    put(
        root / "LJSpeech-1.1/metadata.csv",
        'LJ001-0001|Printing, "in 1465|Printing, "in fourteen sixty-five\nLJ001-0002|Yes.|\nLJ001-0003|No.|No.\n',
    )
    for name in ("LJ001-0001", "LJ001-0002"):
        put(root / f"LJSpeech-1.1/wavs/{name}.wav", tone(rate=22_050))


def libritts(root: Path) -> None:
    for subset, spk, chap in (
        ("train-clean-100", "103", "1241"),
        ("dev-other", "116", "288045"),
        ("test-clean", "121", "121726"),
    ):
        stem = root / f"LibriTTS/{subset}/{spk}/{chap}/{spk}_{chap}_000000_000001"
        put(stem.with_suffix(".wav"), tone(rate=24_000))
        put(Path(f"{stem}.original.txt"), "Mr. Bell said no.")
        put(Path(f"{stem}.normalized.txt"), "Mister Bell said no.\nsecond line")
    put(root / "LibriTTS/train-clean-100/103/1241/103_1241_000000_000002.wav", tone(rate=24_000))
    put(root / "LibriTTS/speakers.tsv", "READER\tGENDER\tSUBSET\tNAME\n103\tF\ttrain-clean-100\tKaren\n")


def vctk(root: Path) -> None:
    for name in ("p225_001", "p226_001", "p227_002", "s5_001", "p280_001", "p315_001"):
        speaker = name.partition("_")[0]
        for mic in (1, 2):
            if (speaker, mic) != ("p280", 2):
                put(root / f"wav48_silence_trimmed/{speaker}/{name}_mic{mic}.flac", tone(rate=48_000, kind="FLAC"))
        if speaker != "p315":
            put(root / f"txt/{speaker}/{name}.txt", "Please call Stella.\n")
    put(root / "txt/p225/p225_002.txt", "Ask her.\n")
    put(
        root / "speaker-info.txt",
        "ID  AGE  GENDER  ACCENTS  REGION COMMENTS\np225  23  F    English    Southern  England\n",
    )


def folder(root: Path) -> None:
    rows = [
        "valence,text,path,emotion,speaker,arousal,intensity,sex",  # in an order of its own
        "4.5,Hello there.,clips/a.wav,joy,anna,4,0.8,female",
        '1,"No, never.",clips/b.wav,angry,ben,5,,m',
        ",Who knows?,clips/c.wav,quizzical,cleo,,,",
        "3,Gone.,clips/none.wav,sad,anna,2,,",
        "9,Too much.,clips/a.wav,sad,anna,2,,",
        "3,Secret.,../../etc/passwd,sad,anna,2,,",
        "3,Twice.,clips/a.wav,sad,anna,2,,",
        "3,Pointer.,clips/p.wav,sad,anna,2,,",
        "3,Too,many,cells,in,this,row,of,the,table",
    ]
    put(root / "metadata.csv", "\n".join(rows), "utf-8-sig")
    for name in "abc":
        put(root / f"clips/{name}.wav")
    put(root / "clips/p.wav", POINTER)


MINIATURES: dict[str, Callable[[Path], None]] = {
    function.__name__: function
    for function in (esd, ravdess, cremad, emodb, iemocap, msp_podcast, msp_improv, emovdb, tess, savee, jl, emns, atthack,
                     thaiser, emotiontalk, mead, expresso, emonet, meld, ljspeech, libritts, vctk, folder)
}  # fmt: skip
